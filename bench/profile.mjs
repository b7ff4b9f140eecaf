// Where the time of a training step goes, kernel by kernel: an adapter of rank 16 on all seven projections, one thread.
//
//   npm run bench:profile -- [--shape 135m] [--tokens 512] [--pattern 2:4] [--dtype F32] [--layers N] [--flavour auto] [--steps 4]
//                            [--method lors] [--gradient G] [--merge recompute|keep] [--rank 16]
//
// Every kernel call of the program is timed; the best of the steps counts for each kernel. With fewer layers than the shape
// has, the head and what follows it weigh more than they do in the whole.
import { parseArgs } from 'node:util';
import { kernelModule } from '../dist/io/kernelModule.js';
import { instantiateKernels } from '../dist/kernels/load.js';
import { writeBatch } from '../dist/models/batch.js';
import { CompiledLlama } from '../dist/models/llama.js';
import { PROJECTIONS } from '../dist/models/names.js';
import { LocalSession } from '../dist/runtime/local.js';
import { run } from '../dist/runtime/run.js';
import { ALONE } from '../dist/runtime/session.js';
import { initialFactors } from '../dist/train/initial.js';
import { optimizer } from '../dist/train/optimizer.js';
import { randomModel, shapeConfig } from './randomModel.mjs';

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: '135m' },
    tokens: { type: 'string', default: '512' },
    pattern: { type: 'string', default: '2:4' },
    dtype: { type: 'string', default: 'F32' },
    layers: { type: 'string' },
    flavour: { type: 'string', default: 'auto' },
    steps: { type: 'string', default: '4' },
    method: { type: 'string', default: 'lors' },
    gradient: { type: 'string' },
    merge: { type: 'string', default: 'recompute' },
    rank: { type: 'string', default: '16' },
  },
});
const tokens = Number(options.tokens);
const method = /** @type {import('../dist/index.js').AdapterMethod} */ (options.method);
const gradient = /** @type {import('../dist/kernelLevel.js').AdapterGradient | undefined} */ (options.gradient);
const merge = /** @type {import('../dist/index.js').MergeRule} */ (options.merge);
const shape = shapeConfig(options.shape);
const config = { ...shape, layers: Number(options.layers ?? shape.layers) };
const { module, flavour } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed'} */ (options.flavour));
const model = randomModel(config, { pattern: options.pattern, dtype: /** @type {'F32' | 'BF16'} */ (options.dtype), flavour });
const compiled = new CompiledLlama(model, {
  tiles: Math.ceil(tokens / 16),
  positions: tokens,
  training: { method, gradient, merge, scaling: 2, factors: initialFactors(model, PROJECTIONS, Number(options.rank), 0, method) },
});
const updates = optimizer(compiled.store, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 });
const names = ['clear', 'train', 'measure', 'update'];
/** The session's parts, which only a profiler looks at. */
class Profiled extends LocalSession {
  get parts() {
    return { memory: this.arena.memory, encoded: this.encoded, scratch: this.layout.scratch };
  }
}
const session = new Profiled([compiled.train(), updates.clear, updates.measure, updates.update], { module });
const ids = Int32Array.from({ length: tokens + 1 }, (_, i) => (i * 7919) % config.vocabSize);
const counts = writeBatch(session, compiled.inputs, [{ ids }], config.vocabSize);
session.floats(compiled.inputs.lossScale)[0] = 1 / tokens;

const { memory, encoded, scratch } = session.parts;
const kernels = instantiateKernels(module, memory);
/** @type {Map<string, number>} */
let times = new Map();
/** @type {Map<string, number>} */
const best = new Map();
const timed = /** @type {typeof kernels} */ (
  Object.fromEntries(
    Object.entries(kernels).map(([name, kernel]) => [
      name,
      (/** @type {number[]} */ ...args) => {
        const start = performance.now();
        /** @type {(...args: number[]) => void} */ (kernel)(...args);
        times.set(name, (times.get(name) ?? 0) + performance.now() - start);
      },
    ]),
  )
);
for (let i = 0; i < Number(options.steps); i++) {
  times = new Map();
  for (const name of names) run(encoded.get(name)?.steps ?? [], timed, counts, { ...ALONE, scratch, stage: () => undefined });
  for (const [name, time] of times) best.set(name, Math.min(best.get(name) ?? Infinity, time));
}
const total = [...best.values()].reduce((a, b) => a + b, 0);
console.log(
  `${method}${gradient ? ` (${gradient})` : ''}${merge === 'keep' ? ', merged weights kept' : ''}; ${options.shape}, ${config.layers} layers, ${options.pattern}, ${tokens} tokens; ${flavour} SIMD, Node ${process.versions.node}: ` +
    `${total.toFixed(0)} ms of kernels a step`,
);
/** Groups as people think of a step. @type {[string, RegExp][]} */
const groups = [
  ['sparse products', /^spmm/],
  ['head products', /^gemm/],
  ['merge', /^(merge|modulate|spreadRows)/],
  ['factor gradients', /^(sddmm|timesValues|upGrad|downGrad|gatherRows|project|expand|factorGrad)/],
  ['attention, norm, rope, swiglu, loss, adamw, the rest', /./],
];
const left = new Map(best);
for (const [group, pattern] of groups) {
  const inside = [...left].filter(([name]) => pattern.test(name)).sort((a, b) => b[1] - a[1]);
  for (const [name] of inside) left.delete(name);
  const sum = inside.reduce((n, [, time]) => n + time, 0);
  if (sum === 0) continue;
  console.log(`${((100 * sum) / total).toFixed(1).padStart(5)} %  ${group}`);
  for (const [name, time] of inside)
    console.log(`         ${((100 * time) / total).toFixed(1).padStart(5)} %  ${time.toFixed(1).padStart(8)} ms  ${name}`);
}
