// Our dense and 2:4 products against the dense ones of other WebAssembly runtimes, one thread each, in one process, in turn.
//
//   npm run bench:peers -- [ROWSxCOLS ...] [--tokens 128,512,2048] [--rounds 8]
//
// Results are compared before anything is timed. GFLOP/s are dense-equivalent: 2 x rows x cols x tokens / time.
import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as ort from 'onnxruntime-web';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { WeightOps } from '../dist/adapters/weightOps.js';
import { Random } from '../dist/core/random.js';
import { kernelModule } from '../dist/io/kernelModule.js';
import { ProgramBuilder } from '../dist/program/program.js';
import { LocalSession } from '../dist/runtime/local.js';
import { fromTiles, toTiles } from '../dist/runtime/tiles.js';
import { pack } from '../dist/sparse/pack.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { tokens: { type: 'string', default: '128,512,2048' }, rounds: { type: 'string', default: '8' } },
});
const shapes = (positionals.length > 0 ? positionals : ['576x576', '1536x576', '576x1536', '2048x2048', '8192x2048', '11008x4096']).map(
  (s) => s.split('x').map(Number),
);

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
const require = createRequire(import.meta.url);
setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
setThreadsCount(1);
await tf.setBackend('wasm');
await tf.ready();

/** Protocol buffers, as far as a model of one MatMul needs them: fields of numbers, texts and messages. */
const varint = (/** @type {number} */ n) => {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Uint8Array.from([...bytes, n]);
};
const join = (/** @type {Uint8Array[]} */ ...parts) => new Uint8Array(Buffer.concat(parts));
const number = (/** @type {number} */ field, /** @type {number} */ value) => join(varint(field * 8), varint(value));
const bytes = (/** @type {number} */ field, /** @type {Uint8Array | string} */ value) => {
  const data = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return join(varint(field * 8 + 2), varint(data.length), data);
};

/** An ONNX model y = x w, w [inner, outer] a constant, so that the runtime may pack it as it likes. @param {Float32Array} w */
function matMulModel(/** @type {number} */ tokens, /** @type {number} */ inner, /** @type {number} */ outer, w) {
  const tensor = (/** @type {string} */ name, /** @type {number[]} */ dims) =>
    join(bytes(1, name), bytes(2, bytes(1, join(number(1, 1), bytes(2, join(...dims.map((n) => bytes(1, number(1, n)))))))));
  const node = join(bytes(1, 'x'), bytes(1, 'w'), bytes(2, 'y'), bytes(4, 'MatMul'));
  const constant = join(number(1, inner), number(1, outer), number(2, 1), bytes(8, 'w'), bytes(9, new Uint8Array(w.buffer)));
  const graph = join(
    bytes(1, node),
    bytes(2, 'g'),
    bytes(5, constant),
    bytes(11, tensor('x', [tokens, inner])),
    bytes(12, tensor('y', [tokens, outer])),
  );
  return join(number(1, 8), bytes(7, graph), bytes(8, join(bytes(1, ''), number(2, 13))));
}

const { module, flavour } = kernelModule('auto');

/** Our product as a function of nothing, and its result. @param {Float32Array} matrix @param {Float32Array} x */
function ours(matrix, /** @type {number} */ rows, /** @type {number} */ cols, x, /** @type {number} */ tokens) {
  const tiles = Math.ceil(tokens / 16);
  const b = new ProgramBuilder('forward', tiles);
  const [input, output] = [
    { name: 'x', bytes: tiles * cols * 64, kind: /** @type {const} */ ('input') },
    { name: 'y', bytes: tiles * rows * 64, kind: /** @type {const} */ ('output') },
  ];
  const ops = new WeightOps('w', pack('F32', matrix, rows, cols));
  ops.multiply(b, output, 0, input, ops.plainValues(b));
  const session = new LocalSession([b.finish()], { module });
  session.write(input, toTiles(x, tokens, cols));
  const counts = { tokens, tiles, labelled: 0, labelTiles: 0 };
  return { run: async () => session.run('forward', counts), result: async () => fromTiles(session.floats(output), tokens, rows) };
}

/** @param {Float32Array} got @param {Float32Array} want */
function check(/** @type {string} */ name, got, want, /** @type {number} */ inner) {
  const tolerance = 2 ** -22 * (inner + 2);
  const worst = got.reduce((most, y, i) => Math.max(most, Math.abs(y - (want[i] ?? NaN))), 0);
  if (!(worst <= tolerance)) throw new Error(`${name}: expected results within ${tolerance} of ours, got ${worst}`);
}

console.log(
  `${flavour} SIMD, Node ${process.versions.node}, one thread; onnxruntime-web ${ort.env.versions.web ?? ''}, tfjs wasm ${tf.version_core}`,
);
/** @type {Record<string, Record<string, string>>} */
const table = {};
for (const [rows, cols] of /** @type {[number, number][]} */ (shapes)) {
  for (const tokens of options.tokens.split(',').map(Number)) {
    const random = new Random(1);
    const dense = Float32Array.from({ length: rows * cols }, () => random.uniform() - 0.5);
    const sparse = dense.map((v, i) => (i % 4 < 2 ? v : 0));
    const x = Float32Array.from({ length: tokens * cols }, () => random.uniform() - 0.5);
    const transposed = new Float32Array(rows * cols);
    for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) transposed[c * rows + r] = dense[r * cols + c] ?? 0;

    const onnx = await ort.InferenceSession.create(matMulModel(tokens, cols, rows, transposed), { executionProviders: ['wasm'] });
    const feeds = { x: new ort.Tensor('float32', x, [tokens, cols]) };
    const [tx, tw] = [tf.tensor2d(x, [tokens, cols]), tf.tensor2d(transposed, [cols, rows])];
    const cases = {
      'our dense': ours(dense, rows, cols, x, tokens),
      'our 2:4': ours(sparse, rows, cols, x, tokens),
      'onnxruntime-web': { run: async () => void (await onnx.run(feeds)), result: async () => (await onnx.run(feeds))['y']?.data },
      'tfjs wasm': {
        run: async () => tf.matMul(tx, tw).dispose(),
        result: async () => tf.matMul(tx, tw).dataSync(),
      },
    };
    for (const { run } of Object.values(cases)) await run();
    const want = /** @type {Float32Array} */ (await cases['our dense'].result());
    for (const name of /** @type {const} */ (['onnxruntime-web', 'tfjs wasm'])) {
      check(name, /** @type {Float32Array} */ (await cases[name].result()), want, cols);
    }
    const best = new Map(Object.keys(cases).map((name) => [name, Infinity]));
    for (let i = 0; i < Number(options.rounds); i++) {
      for (const [name, { run }] of Object.entries(cases)) {
        const start = performance.now();
        await run();
        best.set(name, Math.min(best.get(name) ?? Infinity, performance.now() - start));
      }
    }
    const flops = (2 * rows * cols * tokens) / 1e6;
    table[`${rows}x${cols}, ${tokens}`] = Object.fromEntries([...best].map(([name, time]) => [name, (flops / time).toFixed(1)]));
    await onnx.release();
    tf.dispose([tx, tw]);
  }
}
console.table(table);
