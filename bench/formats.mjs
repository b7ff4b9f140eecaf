// Which format a mask goes to: CSR's time / quads', by pattern and shape. src/sparse/choose.ts has what it gave.
//
//   npm run bench:formats -- [--flavour auto] [--tokens 512] [--shapes 576x576,2048x2048] [--patterns 2:4,csr50,csr70] [--rounds 15]
//
// Timed is what differs between them in a training step of a LoRS layer: both products and the merge before each, of rank 16. The two
// formats run in turn, and the best of all rounds counts for each. csr70 has 70 % zeros anywhere; `equal` is the share of kept weights
// at which both formats take the same time for such masks.
import { parseArgs } from 'node:util';
import { WeightOps } from '../dist/adapters/weightOps.js';
import { addFactors } from '../dist/adapters/factors.js';
import { parsePatterns, randomMask } from '../dist/bench/patterns.js';
import { Random } from '../dist/core/random.js';
import { kernelModule } from '../dist/io/kernelModule.js';
import { ParameterStore } from '../dist/program/parameters.js';
import { ProgramBuilder } from '../dist/program/program.js';
import { LocalSession } from '../dist/runtime/local.js';
import { pack } from '../dist/sparse/pack.js';

const { values: options } = parseArgs({
  options: {
    flavour: { type: 'string', default: 'auto' },
    tokens: { type: 'string', default: '512' },
    shapes: { type: 'string', default: '576x576,576x1536,1536x576,2048x2048' },
    patterns: { type: 'string', default: '2:4,4:8,1:4,1:8,csr30,csr40,csr50,csr60,csr70,csr80,csr90,csr95' },
    rounds: { type: 'string', default: '15' },
  },
});
const { module, flavour } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed' | 'wide'} */ (options.flavour));
const [tokens, rounds] = [Number(options.tokens), Number(options.rounds)];
const tiles = Math.ceil(tokens / 16);
const shapes = options.shapes.split(',');
const patterns = parsePatterns(options.patterns.split(','));

/** @param {number} rows @param {number} cols @param {import('../dist/bench/patterns.js').Pattern} pattern */
function ratio(rows, cols, pattern) {
  const random = new Random(1);
  const floats = (/** @type {number} */ n) => Float32Array.from({ length: n }, () => random.uniform() - 0.5);
  const keep = randomMask(pattern, rows, cols, random);
  const elements = floats(rows * cols);
  const [dy, x] = [floats(tiles * rows * 16), floats(tiles * cols * 16)];
  const factors = { rank: 16, up: floats(rows * 16), down: floats(cols * 16) };
  const runs = /** @type {const} */ (['csr', 'quad']).map((format) => {
    const ops = new WeightOps('weight', pack('F32', elements, rows, cols, { keep, format }));
    const buffer = (/** @type {string} */ name, /** @type {number} */ features, /** @type {'input' | 'output'} */ kind) => ({
      name,
      bytes: tiles * features * 64,
      kind,
    });
    const { up, downT, padded } = addFactors(new ParameterStore(), 'weight', cols, rows, 1, factors);
    const b = new ProgramBuilder('step', tiles);
    const [from, back] = [buffer('x', cols, 'input'), buffer('dy', rows, 'input')];
    ops.multiply(b, buffer('y', rows, 'output'), 0, from, ops.merged(b, up.value, downT.value, padded, 1));
    ops.multiplyT(b, buffer('dx', cols, 'output'), 0, back, ops.merged(b, up.value, downT.value, padded, 1));
    const session = new LocalSession([b.finish()], { module });
    session.write(from, x);
    session.write(back, dy);
    return () => session.run('step', { tokens, tiles, labelled: 0, labelTiles: 0 });
  });
  // Until V8 has its best code for both.
  const until = performance.now() + 500;
  while (performance.now() < until) for (const run of runs) run();
  const best = runs.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < 2; turn++) {
      const i = (round + turn) % 2;
      const start = performance.now();
      runs[i]();
      best[i] = Math.min(best[i], performance.now() - start);
    }
  }
  return best[0] / best[1];
}

/** Where ratios that fall with the density pass 1, by the straight line between its neighbours. @param {number[]} ratios */
function equal(ratios) {
  const points = patterns.flatMap(({ kind, zeros }, i) => (kind === 'unstructured' ? [{ kept: 100 - zeros * 100, ratio: ratios[i] }] : []));
  const i = points.findIndex(({ ratio }) => ratio < 1);
  if (i < 1) return i === 0 ? `> ${points[0].kept.toFixed(0)} %` : 'none';
  const [over, under] = [points[i - 1], points[i]];
  return `${(over.kept + ((over.ratio - 1) / (over.ratio - under.ratio)) * (under.kept - over.kept)).toFixed(0)} %`;
}

console.log(`CSR's time / quads', ${tokens} tokens, one thread, ${flavour}, Node ${process.versions.node}:\n`);
console.log(`| pattern | ${shapes.join(' | ')} |`);
console.log(`|---|${shapes.map(() => '---|').join('')}`);
/** @type {number[][]} */
const columns = shapes.map(() => []);
for (const pattern of patterns) {
  for (const [i, shape] of shapes.entries()) {
    const [rows, cols] = shape.split('x').map(Number);
    columns[i].push(ratio(rows, cols, pattern));
  }
  console.log(`| ${pattern.name} | ${columns.map((ratios) => /** @type {number} */ (ratios.at(-1)).toFixed(2)).join(' | ')} |`);
}
console.log(`| equal | ${columns.map(equal).join(' | ')} |`);
