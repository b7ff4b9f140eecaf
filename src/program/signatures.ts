/**
 * What each kernel does with each parameter, in the order of its signature without the closing `begin, end`. Liveness
 * and the named fields of ops come from here; a test holds it to the compiled kernels' parameter names.
 *
 *   out   written          in   read          inout  read and written
 *   init  read: a buffer that an output starts from, or 0 for zeros
 *   maybe read: a buffer, or 0 for none
 *   n     a number known when the program is built
 *   tiles, tokens   how many there are in this batch: known when the program runs
 *   scratch         the worker's own scratch
 */
import type { KernelName } from '../kernels/table.ts';

export type Role = 'out' | 'in' | 'inout' | 'init' | 'maybe' | 'n' | 'tiles' | 'tokens' | 'scratch';

const quad = { starts: 'in', index: 'in', M: 'n', K: 'n' } as const;
const block = { starts: 'in', index: 'in', R: 'n', C: 'n', M: 'n', K: 'n' } as const;
const csr = { rowPtr: 'in', index: 'in', M: 'n', K: 'n' } as const;
const merge = { merged: 'out', values: 'maybe', dtype: 'n', up: 'maybe', downT: 'maybe', rank: 'n', scaling: 'n' } as const;
const sampled = { h: 'out', init: 'init', dy: 'in', x: 'in' } as const;
const snap = { merged: 'inout', scales: 'in', zeros: 'in', size: 'n', levels: 'n' } as const;
const upGrad = { dUp: 'inout', h: 'in', downT: 'in', rank: 'n', scaling: 'n' } as const;
const downGrad = { dDownT: 'inout', h: 'in', up: 'in', rank: 'n', scaling: 'n' } as const;
const heads = { heads: 'n', kvHeads: 'n', D: 'n', scaling: 'n' } as const;

export const SIGNATURES = {
  spmmQuad: { y: 'out', init: 'init', x: 'in', w: 'in', ...quad, pairs: 'n', scratch: 'scratch', tiles: 'tiles' },
  spmmTQuad: { dx: 'out', init: 'init', dy: 'in', w: 'in', ...quad, pairs: 'n', tiles: 'tiles' },
  mergeQuad: { ...merge, ...quad },
  snapQuad: { ...snap, ...quad },
  sddmmQuad: { ...sampled, ...quad, tiles: 'tiles' },
  upGradQuad: { ...upGrad, ...quad },
  downGradQuad: { ...downGrad, ...quad },
  spmmCsr: { y: 'out', init: 'init', x: 'in', w: 'in', ...csr, tiles: 'tiles' },
  spmmTCsr: { dx: 'out', init: 'init', dy: 'in', w: 'in', colPtr: 'in', index: 'in', M: 'n', K: 'n', tiles: 'tiles' },
  transposeCsr: { wT: 'out', colPtr: 'out', indexT: 'out', w: 'in', ...csr },
  mergeCsr: { ...merge, ...csr },
  snapCsr: { ...snap, ...csr },
  sddmmCsr: { ...sampled, ...csr, tiles: 'tiles' },
  upGradCsr: { ...upGrad, ...csr },
  downGradCsr: { ...downGrad, ...csr },
  spmmBlock: { y: 'out', init: 'init', x: 'in', w: 'in', ...block, tiles: 'tiles' },
  spmmTBlock: { dx: 'out', init: 'init', dy: 'in', w: 'in', ...block, tiles: 'tiles' },
  mergeBlock: { ...merge, ...block },
  snapBlock: { ...snap, ...block },
  sddmmBlock: { ...sampled, ...block, tiles: 'tiles' },
  upGradBlock: { ...upGrad, ...block },
  downGradBlock: { ...downGrad, ...block },
  gemm: { y: 'out', init: 'init', x: 'in', w: 'in', features: 'n', M: 'n', K: 'n', tiles: 'tiles' },
  gemmT: { dx: 'out', init: 'init', dy: 'in', w: 'in', features: 'n', M: 'n', K: 'n', scratch: 'scratch', tiles: 'tiles' },
  mergeDense: { ...merge, M: 'n', K: 'n' },
  snapDense: { ...snap, M: 'n', K: 'n' },
  sddmmDense: { dw: 'out', init: 'init', dy: 'in', x: 'in', features: 'n', M: 'n', K: 'n', tiles: 'tiles' },
  upGradDense: { ...upGrad, M: 'n', K: 'n' },
  downGradDense: { ...downGrad, M: 'n', K: 'n' },
  modulate: { merged: 'inout', values: 'in', dtype: 'n', n: 'n' },
  timesValues: { h: 'inout', values: 'in', dtype: 'n', n: 'n' },
  spreadRows: { up: 'out', q: 'in', rank: 'n', repeats: 'n' },
  gatherRows: { dq: 'inout', dUp: 'in', rank: 'n', repeats: 'n' },
  spmvQuad: { y: 'out', init: 'init', x: 'in', values: 'in', dtype: 'n', ...quad, scratch: 'scratch' },
  spmvCsr: { y: 'out', init: 'init', x: 'in', values: 'in', dtype: 'n', ...csr },
  spmvBlock: { y: 'out', init: 'init', x: 'in', values: 'in', dtype: 'n', ...block },
  gemv: { y: 'out', init: 'init', x: 'in', values: 'in', dtype: 'n', M: 'n', K: 'n', scratch: 'scratch' },
  embedToken: { x: 'out', table: 'in', dtype: 'n', ids: 'in', K: 'n' },
  rmsNormToken: { y: 'out', x: 'in', gain: 'in', K: 'n', eps: 'n' },
  ropeToken: { y: 'out', x: 'in', cosTable: 'in', sinTable: 'in', positions: 'in', half: 'n' },
  storeToken: { cache: 'inout', x: 'in', slots: 'in', K: 'n' },
  attentionToken: { o: 'out', q: 'in', k: 'in', v: 'in', last: 'in', ...heads, scratch: 'scratch' },
  project: { z: 'out', x: 'in', factor: 'in', N: 'n', rank: 'n', scaling: 'n' },
  expand: { y: 'inout', z: 'in', factor: 'in', N: 'n', rank: 'n' },
  gateRanks: { gated: 'out', factor: 'in', gate: 'in', rank: 'n' },
  factorGrad: { dFactor: 'inout', dy: 'in', z: 'in', N: 'n', rank: 'n', scaling: 'n', tiles: 'tiles' },
  rmsNorm: { y: 'out', rstd: 'out', x: 'in', gain: 'in', K: 'n', eps: 'n' },
  rmsNormBackward: { dx: 'out', init: 'init', dy: 'in', x: 'in', rstd: 'in', gain: 'in', K: 'n' },
  rmsNormGainGrad: { dGain: 'inout', dy: 'in', x: 'in', rstd: 'in', K: 'n', tiles: 'tiles' },
  ropeAngles: { cos: 'out', sin: 'out', cosTable: 'in', sinTable: 'in', positions: 'in', half: 'n' },
  rope: { y: 'out', x: 'in', cos: 'in', sin: 'in', heads: 'n', half: 'n', sign: 'n' },
  attention: { o: 'out', stats: 'out', q: 'in', k: 'in', v: 'in', first: 'in', last: 'in', ...heads, scratch: 'scratch' },
  attentionBackward: {
    dq: 'out',
    dk: 'out',
    dv: 'out',
    delta: 'out',
    dO: 'in',
    o: 'in',
    stats: 'in',
    q: 'in',
    k: 'in',
    v: 'in',
    first: 'in',
    last: 'in',
    ...heads,
    parts: 'n',
    tiles: 'tiles',
    scratch: 'scratch',
  },
  sumHeads: { y: 'out', x: 'in', heads: 'n', kvHeads: 'n', D: 'n' },
  swiglu: { y: 'out', gate: 'in', up: 'in', F: 'n', scratch: 'scratch' },
  swigluBackward: { dGate: 'out', dUp: 'out', dy: 'in', gate: 'in', up: 'in', F: 'n', scratch: 'scratch' },
  crossEntropy: { loss: 'out', logits: 'in', labels: 'in', V: 'n', scratch: 'scratch' },
  crossEntropyBackward: { loss: 'out', logits: 'inout', labels: 'in', scale: 'in', V: 'n', scratch: 'scratch' },
  embed: { x: 'out', table: 'in', dtype: 'n', ids: 'in', K: 'n' },
  embedGrad: { dTable: 'inout', dx: 'in', ids: 'in', K: 'n', tokens: 'tokens' },
  gatherTokens: { y: 'out', x: 'in', slots: 'in', K: 'n' },
  storeTokens: { cache: 'inout', x: 'in', slots: 'in', K: 'n' },
  adamw: { parameters: 'inout', m: 'inout', v: 'inout', gradients: 'in', hyper: 'in', decay: 'n' },
  sumSquares: { partials: 'out', x: 'in' },
  clipScale: { norm: 'out', clip: 'out', partials: 'in', n: 'n', maxNorm: 'n' },
  featureSquares: { total: 'inout', x: 'in', K: 'n', tokens: 'tokens' },
  clear: { x: 'out' },
  multiplyAdds: { y: 'out', x: 'in', w: 'in', turns: 'n' },
  readRuns: { bits: 'out', words: 'in' },
  copyRuns: { y: 'out', x: 'in' },
} as const satisfies Record<KernelName, Readonly<Record<string, Role>>>;
