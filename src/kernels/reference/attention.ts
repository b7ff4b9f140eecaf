/** Oracles of attention: each query t sees the keys first[t] .. last[t], each head its share of the key heads. */
import { TILE } from '../table.ts';
import { sum, tiled } from './layout.ts';

/** The keys and values that all heads of a group share, and where a query, a key and their statistics stand. */
interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly D: number;
}
const queryAt = ({ heads, D }: Shape, t: number, h: number, d: number): number => tiled(t, h * D + d, heads * D);
const keyAt = ({ heads, kvHeads, D }: Shape, j: number, h: number, d: number): number =>
  tiled(j, Math.floor(h / (heads / kvHeads)) * D + d, kvHeads * D);
const maximumAt = ({ heads }: Shape, t: number, h: number): number => tiled(t, h * 2, heads * 2);
const inverseAt = ({ heads }: Shape, t: number, h: number): number => tiled(t, h * 2 + 1, heads * 2);

/** Calls back with every token and head of units [begin, end), unit = tile * heads + head. */
function eachQuery(heads: number, begin: number, end: number, visit: (t: number, h: number) => void): void {
  for (let unit = begin; unit < end; unit++) {
    for (let lane = 0; lane < TILE; lane++) visit(Math.floor(unit / heads) * TILE + lane, unit % heads);
  }
}

/** O = softmax(scaling Q'K) V; stats: the maximum score times log2 e, and 1 / sum of exp(score - maximum). */
export function attention(
  o: Float64Array,
  stats: Float64Array,
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  first: Uint32Array,
  last: Uint32Array,
  heads: number,
  kvHeads: number,
  D: number,
  scaling: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  const shape = { heads, kvHeads, D };
  eachQuery(heads, begin, end, (t, h) => {
    const low = first[t]!;
    const scores = Array.from(
      { length: last[t]! - low + 1 },
      (_, i) => scaling * sum(D, (d) => q[queryAt(shape, t, h, d)]! * k[keyAt(shape, low + i, h, d)]!),
    );
    const m = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const inverse = 1 / sum(scores.length, (i) => Math.exp(scores[i]! - m));
    stats[maximumAt(shape, t, h)] = m * Math.LOG2E;
    stats[inverseAt(shape, t, h)] = inverse;
    for (let d = 0; d < D; d++) {
      o[queryAt(shape, t, h, d)] = sum(scores.length, (i) => Math.exp(scores[i]! - m) * inverse * v[keyAt(shape, low + i, h, d)]!);
    }
  });
}

/** P[t, j] by the saved statistics, and dS[t, j] = P (dO v_j - delta) scaling. */
function scoreGradient(
  shape: Shape,
  t: number,
  h: number,
  j: number,
  scaling: number,
  delta: number,
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  dO: Float64Array,
  stats: Float64Array,
): { p: number; dS: number } {
  const score = scaling * sum(shape.D, (d) => q[queryAt(shape, t, h, d)]! * k[keyAt(shape, j, h, d)]!);
  const p = 2 ** (score * Math.LOG2E - stats[maximumAt(shape, t, h)]!) * stats[inverseAt(shape, t, h)]!;
  const dP = sum(shape.D, (d) => dO[queryAt(shape, t, h, d)]! * v[keyAt(shape, j, h, d)]!);
  return { p, dS: p * (dP - delta) * scaling };
}

/**
 * delta = sum_d dO O;  dQ = dS K;  dV = P'dO and dK = dS'Q of each head's own, over the queries of `tiles` tiles; unit = head * parts + part,
 * which has its own delta and dQ: of the tiles of keys that are `part` by modulus.
 */
export function attentionBackward(
  dq: Float64Array,
  dk: Float64Array,
  dv: Float64Array,
  delta: Float64Array,
  dO: Float64Array,
  o: Float64Array,
  stats: Float64Array,
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  first: Uint32Array,
  last: Uint32Array,
  heads: number,
  kvHeads: number,
  D: number,
  scaling: number,
  parts: number,
  tiles: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  const shape = { heads, kvHeads, D };
  const unitShape = { heads: heads * parts, kvHeads, D };
  for (let unit = begin; unit < end; unit++) {
    const [h, part] = [Math.floor(unit / parts), unit % parts];
    const mine = (t: number): boolean => Math.floor(t / TILE) % parts === part;
    for (let t = 0; t < tiles * TILE; t++) {
      for (let d = 0; d < D; d++) {
        dq[queryAt(unitShape, t, unit, d)] = 0;
        if (mine(t)) for (const out of [dk, dv]) out[queryAt(shape, t, h, d)] = 0;
      }
    }
    for (let t = 0; t < tiles * TILE; t++) {
      const own = sum(D, (d) => dO[queryAt(shape, t, h, d)]! * o[queryAt(shape, t, h, d)]!);
      delta[tiled(t, unit, unitShape.heads)] = own;
      for (let j = first[t]!; j <= last[t]!; j++) {
        if (!mine(j)) continue;
        const { p, dS } = scoreGradient(shape, t, h, j, scaling, own, q, k, v, dO, stats);
        for (let d = 0; d < D; d++) {
          dq[queryAt(unitShape, t, unit, d)]! += dS * k[keyAt(shape, j, h, d)]!;
          // A key's gradients of this head stand where a query's would: [tiles][heads * D][16].
          dv[queryAt(shape, j, h, d)]! += p * dO[queryAt(shape, t, h, d)]!;
          dk[queryAt(shape, j, h, d)]! += dS * q[queryAt(shape, t, h, d)]!;
        }
      }
    }
  }
}

/** y = the sum of x over each group of heads that share a key head. */
export function sumHeads(y: Float64Array, x: Float64Array, heads: number, kvHeads: number, D: number, begin: number, end: number): void {
  const group = heads / kvHeads;
  eachQuery(kvHeads, begin * kvHeads, end * kvHeads, (t, h) => {
    for (let d = 0; d < D; d++) {
      y[tiled(t, h * D + d, kvHeads * D)] = sum(group, (g) => x[tiled(t, (h * group + g) * D + d, heads * D)]!);
    }
  });
}
