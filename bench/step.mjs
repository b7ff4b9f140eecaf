// Whole training steps: forward, backward, AdamW; LoRS of rank 16 on all seven projections.
//
//   npm run bench:step -- [--shape 135m] [--tokens 512] [--pattern 2:4] [--dtype F32] [--rank 16] [--steps 5]
//                         [--flavour auto|plain|relaxed] [--threads 1] [--recompute none|mlp|block|auto] [--weights arena|memory|file]
//                         [--memory BYTES] [--python python3] [--torch-mask float|bool] [--no-torch] [--json FILE]
//
// Where the python has torch, the same step runs there in eager PyTorch (bench/step.py), one thread each, the two in turn. On Debian
// that is python3-torch and libopenblas0-pthread; a torch on the reference BLAS is refused. Compare the ratio: machines are shared,
// and both suffer alike. PyTorch computes in f32 whatever --dtype says.
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fileHome, homeOf, stagedHome } from '../dist/io/homes.js';
import { parseOption } from '../dist/core/options.js';
import { kernelModule } from '../dist/io/kernelModule.js';
import { Arena } from '../dist/runtime/arena.js';
import { arenaBudget, peakBytes, plannedBytes } from '../dist/tasks/host.js';
import { pooledSessions } from '../dist/threads/pool.js';
import { initialFactors } from '../dist/train/initial.js';
import { Trainer } from '../dist/train/trainer.js';
import { PROJECTIONS } from '../dist/models/names.js';
import { randomModel, shapeConfig } from './randomModel.mjs';

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: '135m' },
    tokens: { type: 'string', default: '512' },
    pattern: { type: 'string', default: '2:4' },
    dtype: { type: 'string', default: 'F32' },
    rank: { type: 'string', default: '16' },
    steps: { type: 'string', default: '5' },
    flavour: { type: 'string', default: 'auto' },
    threads: { type: 'string', default: '1' },
    recompute: { type: 'string', default: 'none' },
    weights: { type: 'string', default: 'arena' },
    memory: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    'torch-mask': { type: 'string', default: 'float' },
    'no-torch': { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const [tokens, rank, threads] = [Number(options.tokens), Number(options.rank), Number(options.threads)];
const shapeFile = options.shape.endsWith('.json') ? options.shape : fileURLToPath(new URL(`shapes/${options.shape}.json`, import.meta.url));
const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

/** @param {number[]} times */
function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return { best: sorted[0] ?? NaN, median: sorted[sorted.length >> 1] ?? NaN };
}

/** PyTorch in a process of its own, a step at a time; undefined where it is not there. */
async function torchSteps() {
  if (options['no-torch']) return undefined;
  if (spawnSync(options.python, ['-c', 'import torch']).status !== 0) {
    console.log(`${options.python} has no torch: PyTorch is left out`);
    return undefined;
  }
  const env = { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };
  const script = fileURLToPath(new URL('step.py', import.meta.url));
  const args = [script, shapeFile, options.tokens, options.rank, options.pattern, options['torch-mask']];
  const child = spawn(options.python, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`PyTorch ended before it answered (exit code ${child.exitCode ?? 'none'}): is there memory for it?`);
    return String(value).split(' ');
  };
  const [, blas, speed] = await line();
  if (blas === 'reference') {
    throw new Error(
      `${options.python}: expected a torch with an optimised BLAS, got one that multiplies at ${speed} GFLOP/s, which is the reference ` +
        'BLAS and no measure of PyTorch. On Debian install libopenblas0-pthread beside python3-torch, or say --no-torch.',
    );
  }
  const [, version] = await line();
  const ask = (/** @type {string} */ what) => {
    if (child.exitCode === null) child.stdin.write(`${what}\n`);
    return line();
  };
  return {
    version,
    step: async () => Number((await ask('step'))[0]),
    peak: async () => Number((await ask('peak'))[0]),
    end: () => child.stdin.end(),
  };
}

const arena = new Arena(true);
const homes = { arena: homeOf, memory: stagedHome, file: (/** @type {Arena} */ a) => fileHome(a, tmpdir()) };
const { module, flavour } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed'} */ (options.flavour), true);
const began = performance.now();
const model = randomModel(shapeConfig(options.shape), {
  pattern: options.pattern,
  dtype: /** @type {'F32' | 'BF16'} */ (options.dtype),
  // Not kept: it goes with the room in which weights were packed.
  home: homes[/** @type {keyof typeof homes} */ (options.weights)](arena),
  flavour,
});
console.log(
  `${options.shape}, ${options.dtype}, ${options.pattern}, ${tokens} tokens, rank ${rank}; ${flavour} SIMD, ${threads} thread(s), ` +
    `Node ${process.versions.node}, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}; weights made in ${((performance.now() - began) / 1000).toFixed(1)} s`,
);
const memoryBytes = await arenaBudget(
  options.memory === undefined ? undefined : Number(parseOption('bytes', options.memory)),
  arena,
  threads,
);
const trainer = new Trainer(model, {
  training: { method: 'lors', gradient: 'lors', scaling: 2, factors: initialFactors(model, PROJECTIONS, rank, 0) },
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
  batchesPerUpdate: 1,
  batchTokens: tokens,
  maxSeqLength: tokens,
  recompute: /** @type {'none' | 'mlp' | 'block' | 'auto'} */ (options.recompute),
  sessions: pooledSessions({
    module,
    threads,
    arena,
    memoryBytes,
  }),
});
await trainer.ready();
const planned = await plannedBytes(trainer, threads);
const torch = await torchSteps();
const ids = Int32Array.from({ length: tokens + 1 }, (_, i) => (i * 7919) % model.config.vocabSize);
/** @type {number[]} */
const ours = [];
/** @type {number[]} */
const theirs = [];
let loss = NaN;
for (let i = 0; i < Number(options.steps) + 1; i++) {
  const start = performance.now();
  ({ loss } = await trainer.update([[{ ids }]], 1e-4));
  const seconds = (performance.now() - start) / 1000;
  const other = await torch?.step();
  // The first step compiles kernels and touches memory for the first time.
  if (i === 0) continue;
  ours.push(seconds);
  if (other !== undefined) theirs.push(other);
}
const result = {
  shape: options.shape,
  tokens,
  flavour,
  threads,
  node: process.versions.node,
  ours: summary(ours),
  tokensPerSecond: tokens / summary(ours).median,
  plannedBytes: planned,
  peakBytes: peakBytes(),
  recomputed: trainer.recomputed,
  ...(torch && {
    torch: { version: torch.version, ...summary(theirs), tokensPerSecond: tokens / summary(theirs).median, peakBytes: await torch.peak() },
  }),
};
const row = (/** @type {string} */ name, /** @type {{ best: number, median: number }} */ { best, median }, /** @type {number} */ bytes) =>
  console.log(
    `${name.padEnd(14)} ${median.toFixed(3)} s a step (best ${best.toFixed(3)}), ${(tokens / median).toFixed(1)} tokens/s (best ${(tokens / best).toFixed(1)}), peak ${megabytes(bytes)}`,
  );
row('lors-wasm', result.ours, result.peakBytes);
console.log(
  `  planned ${megabytes(planned)} resident; ${trainer.recomputed.blocks} blocks and ${trainer.recomputed.mlps} MLPs recomputed; loss ${loss.toFixed(4)}`,
);
if (result.torch) {
  row(`PyTorch ${result.torch.version ?? ''}`, result.torch, result.torch.peakBytes);
  const { best, median } = result.torch;
  console.log(
    `lors-wasm / PyTorch: ${(median / result.ours.median).toFixed(2)}x its speed by medians, ${(best / result.ours.best).toFixed(2)}x by bests, ` +
      `${(result.peakBytes / result.torch.peakBytes).toFixed(2)} of its memory`,
  );
}
if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
torch?.end();
await trainer.close();
