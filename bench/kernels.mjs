// Sparse products against our own dense ones, interleaved in one run on one thread.
//
//   npm run bench -- [ROWSxCOLS ...] [--tokens 128,512] [--flavour plain|relaxed] [--rounds 12]
//
// Every round times each kernel once, in turn, so that a noisy neighbour slows all of them alike; the best of the rounds
// counts, and figures are ratios in that run. GF/s are dense-equivalent: 2 x rows x cols x tokens / time; nz GF/s count
// only the kept weights.
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { WeightOps } from '../dist/adapters/weightOps.js';
import { addFactors } from '../dist/adapters/factors.js';
import { kernelModule } from '../dist/io/kernelModule.js';
import { ParameterStore } from '../dist/program/parameters.js';
import { ProgramBuilder } from '../dist/program/program.js';
import { Session } from '../dist/runtime/session.js';
import { pack } from '../dist/sparse/pack.js';
import { Random } from '../dist/core/random.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: 'string', default: '512' },
    flavour: { type: 'string', default: 'auto' },
    rounds: { type: 'string', default: '12' },
  },
});
const shapes = (positionals.length > 0 ? positionals : ['576x576', '1536x576', '576x1536', '2048x2048']).map((s) =>
  s.split('x').map(Number),
);
const RANK = 16;

/** Masks by name: which of a row's inputs are kept. */
const masks = {
  dense: () => true,
  '2:4': nm(2, 4),
  '4:8': nm(4, 8),
  '50 %': share(0.5),
  '70 %': share(0.3),
  '90 %': share(0.1),
};

/** @param {number} keep @param {number} group */
function nm(keep, group) {
  /** @type {Set<number>} */
  let kept = new Set();
  return (/** @type {number} */ column, /** @type {Random} */ random) => {
    if (column % group === 0) kept = new Set(random.permutation(group).slice(0, keep));
    return kept.has(column % group);
  };
}

/** @param {number} density */
function share(density) {
  return (/** @type {number} */ _column, /** @type {Random} */ random) => random.uniform() < density;
}

const { module, flavour } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed'} */ (options.flavour));
console.log(`${flavour} SIMD, Node ${process.versions.node}, best of ${options.rounds} interleaved rounds`);

for (const [rows, cols] of /** @type {[number, number][]} */ (shapes)) {
  for (const tokens of options.tokens.split(',').map(Number)) {
    const tiles = Math.ceil(tokens / 16);
    const counts = { tokens, tiles, labelled: 0, labelTiles: 0 };
    const bench = new Bench({ iterations: Number(options.rounds), time: 0, warmupIterations: 2, warmupTime: 0, concurrency: null });
    /** @type {{ name: string, kernel: string, density: number, format: string, run: () => void, best: number }[]} */
    const cases = Object.entries(masks).flatMap(([name, mask]) => {
      const random = new Random(1);
      const matrix = Float32Array.from({ length: rows * cols }, (_, i) => (mask(i % cols, random) ? random.normal() : 0));
      const weight = pack('F32', matrix, rows, cols);
      const store = new ParameterStore();
      const factors = addFactors(store, name, cols, rows, 1, {
        rank: RANK,
        up: new Float32Array(rows * RANK),
        down: new Float32Array(RANK * cols),
      });
      const ops = new WeightOps(name, weight);
      const x = { name: 'x', bytes: tiles * cols * 64, kind: /** @type {const} */ ('input') };
      const y = { name: 'y', bytes: tiles * rows * 64, kind: /** @type {const} */ ('output') };
      const programs = ['forward', 'backward', 'merge', 'sample'].map((kernel) => new ProgramBuilder(kernel, tiles));
      const [forward, backward, merge, sample] = /** @type {[ProgramBuilder, ProgramBuilder, ProgramBuilder, ProgramBuilder]} */ (programs);
      ops.multiply(forward, y, 0, x, ops.plainValues(forward));
      ops.multiplyT(backward, x, 0, y, ops.plainValues(backward));
      ops.merged(merge, factors.up.value, factors.downT.value, factors.padded, 1);
      ops.sample(sample, sample.scratch('h', weight.values.length * 4), 0, y, x);
      const session = new Session(
        programs.map((p) => p.finish()),
        { module },
      );
      session.floats(x).forEach((_, i, all) => (all[i] = random.normal()));
      return programs.map((_, i) => {
        const kernel = ['forward', 'backward', 'merge', 'sample'][i] ?? '';
        return {
          name,
          kernel,
          density: weight.kept / (rows * cols),
          format: weight.format,
          run: () => session.run(kernel, counts),
          best: Infinity,
        };
      });
    });
    // tinybench runs one task to its end before the next; one task of all cases in turn interleaves them.
    bench.add('all kernels in turn', () => {
      for (const c of cases) {
        const start = performance.now();
        c.run();
        c.best = Math.min(c.best, performance.now() - start);
      }
    });
    await bench.run();
    const flops = (2 * rows * cols * tokens) / 1e6;
    const of = (/** @type {string} */ name, /** @type {string} */ kernel) =>
      cases.find((c) => c.name === name && c.kernel === kernel)?.best ?? NaN;
    console.log(`\nW ${rows} x ${cols}, ${tokens} tokens`);
    console.table(
      Object.fromEntries(
        Object.keys(masks).map((name) => {
          const { density = 1, format = '' } = cases.find((c) => c.name === name) ?? {};
          const rate = (/** @type {string} */ kernel) => (flops / of(name, kernel)).toFixed(1);
          const kept = (/** @type {string} */ kernel) => ((density * flops) / of(name, kernel)).toFixed(1);
          const ratio = (/** @type {string} */ kernel) => (of('dense', kernel) / of(name, kernel)).toFixed(2);
          return [
            name,
            {
              format,
              'forward GF/s': rate('forward'),
              'nz GF/s': kept('forward'),
              'x dense': ratio('forward'),
              'backward GF/s': rate('backward'),
              'nz GF/s ': kept('backward'),
              'x dense ': ratio('backward'),
              'sampled GF/s': rate('sample'),
              'x dense  ': ratio('sample'),
              'merge / forward': (of(name, 'merge') / of(name, 'forward')).toFixed(3),
            },
          ];
        }),
      ),
    );
  }
}
