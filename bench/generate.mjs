// A step of generation against the memory that it reads, on one thread.
//
//   npm run bench:generate -- [--shape 135m|1b] [--weights 2:4|unstructured|dense] [--dtype BF16|F16|F32] [--cached 128]
//                             [--flavour plain|relaxed] [--format quad|csr] [--rounds 12]
//
// Every new token reads every packed weight once, so bytes / bandwidth is the least time it can take. The bandwidth is that
// of a WebAssembly loop that only reads, over as many bytes, measured in turn with the steps of the same run; the best of
// the rounds counts for both. Time is the processor's for this process, so that a neighbour's turn does not count. Weights are random: only their pattern matters.
import { parseArgs } from 'node:util';
import { encodeWeights } from '../dist/core/dtypes.js';
import { Random } from '../dist/core/random.js';
import { Decoder } from '../dist/generate/decoder.js';
import { kernelModule } from '../dist/io/kernelModule.js';
import { createMemory, instantiateKernels } from '../dist/kernels/load.js';
import { parseConfig } from '../dist/models/config.js';
import { FINAL_NORM, PROJECTIONS, normName, projectionName, projectionShape } from '../dist/models/names.js';
import { localSessions } from '../dist/runtime/local.js';
import { pack, packDense } from '../dist/sparse/pack.js';
import { indexBytes } from '../dist/sparse/weight.js';

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: '135m' },
    weights: { type: 'string', default: '2:4' },
    dtype: { type: 'string', default: 'BF16' },
    cached: { type: 'string', default: '128' },
    flavour: { type: 'string', default: 'auto' },
    format: { type: 'string' },
    rounds: { type: 'string', default: '12' },
  },
});

/** SmolLM 135M and TinyLlama 1.1B. */
const SHAPES = {
  '135m': { hidden: 576, intermediate: 1536, layers: 30, heads: 9, kvHeads: 3, vocabulary: 49152, tied: true },
  '1b': { hidden: 2048, intermediate: 5632, layers: 22, heads: 32, kvHeads: 4, vocabulary: 32000, tied: false },
};
/** Which inputs of a row are kept. */
const MASKS = {
  '2:4': (/** @type {number} */ i, /** @type {Random} */ random) => pair(i, random),
  unstructured: (/** @type {number} */ _i, /** @type {Random} */ random) => random.uniform() < 0.3,
  dense: () => true,
};
let kept = 0;
/** @param {number} i @param {Random} random */
function pair(i, random) {
  if (i % 4 === 0) kept = [3, 5, 6, 9, 10, 12][random.below(6)] ?? 3;
  return ((kept >> (i % 4)) & 1) === 1;
}

const shape = SHAPES[/** @type {keyof typeof SHAPES} */ (options.shape)];
const mask = MASKS[/** @type {keyof typeof MASKS} */ (options.weights)];
const dtype = /** @type {import('../dist/core/dtypes.js').WeightDtype} */ (options.dtype);
const format = /** @type {import('../dist/sparse/weight.js').PackedWeight['format'] | undefined} */ (options.format);
const cached = Number(options.cached);
const rounds = Number(options.rounds);
const { module, flavour } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed'} */ (options.flavour));

const config = parseConfig(
  {
    model_type: 'llama',
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    vocab_size: shape.vocabulary,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: shape.tied,
  },
  options.shape,
);
const random = new Random(1);
/** @param {number} rows @param {number} cols @param {(i: number, random: Random) => boolean} keep */
const elements = (rows, cols, keep) =>
  encodeWeights(
    dtype,
    Float32Array.from({ length: rows * cols }, (_, i) => (keep(i, random) ? (random.uniform() - 0.5) / Math.sqrt(cols) + 1e-6 : 0)),
  );
// All layers have the same weights, each in memory of its own.
const blocks = PROJECTIONS.map((projection) => {
  const [rows, cols] = projectionShape(config, projection);
  return { projection, weight: pack(dtype, elements(rows, cols, mask), rows, cols, { packedFor: 'one token', ...(format && { format }) }) };
});
const layers = Array.from({ length: shape.layers }, (_, layer) => layer);
const table = packDense(
  dtype,
  elements(shape.vocabulary, shape.hidden, () => true),
  shape.vocabulary,
  shape.hidden,
);
const gain = { dtype, values: new Float32Array(shape.hidden).fill(1) };
const decoder = new Decoder(
  {
    name: options.shape,
    config,
    linears: new Map(layers.flatMap((layer) => blocks.map(({ projection, weight }) => [projectionName(layer, projection), weight]))),
    gains: new Map([
      ...layers.flatMap((layer) =>
        /** @type {const} */ (['input_layernorm', 'post_attention_layernorm']).map(
          (norm) => /** @type {const} */ ([normName(layer, norm), gain]),
        ),
      ),
      [FINAL_NORM, gain],
    ]),
    embedding: table,
    head: shape.tied ? undefined : table,
  },
  cached + rounds + 3,
  localSessions({ module }),
);

const inBlocks = layers.length * blocks.reduce((sum, { weight }) => sum + weight.values.byteLength + indexBytes(weight), 0);
const bytes = inBlocks + table.values.byteLength;
const read = streamRead(bytes);
await decoder.feed(Array.from({ length: cached }, () => random.below(shape.vocabulary)));

let step = Infinity;
let stream = Infinity;
for (let round = -2; round < rounds; round++) {
  let start = processorTime();
  await decoder.feed([random.below(shape.vocabulary)]);
  // The first two rounds compile.
  if (round >= 0) step = Math.min(step, processorTime() - start);
  start = processorTime();
  read();
  if (round >= 0) stream = Math.min(stream, processorTime() - start);
}
await decoder.close();

const rate = (/** @type {number} */ ms) => `${(bytes / ms / 1e6).toFixed(2)} GB/s`;
console.log(`${flavour} SIMD, Node ${process.versions.node}, best of ${rounds} interleaved rounds`);
console.log(`${options.shape}, ${options.weights} ${dtype}, ${cached} tokens cached, ${(bytes / 1e6).toFixed(1)} MB of weights a token`);
console.log(`decode  ${(1000 / step).toFixed(1)} tokens/s  ${rate(step)}`);
console.log(`read    ${rate(stream)}`);
console.log(`decode / read  ${(stream / step).toFixed(2)}`);

/** Milliseconds. */
function processorTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * A function that reads so many bytes of WebAssembly memory, as fast as one thread can: the loop that `lors bench` takes the
 * machine's bandwidth from.
 * @param {number} size
 */
function streamRead(size) {
  const runs = Math.ceil(size / 65536);
  const memory = createMemory((runs + 1) * 65536 + runs * 16, false);
  new Uint8Array(memory.buffer).fill(1);
  const { readRuns } = instantiateKernels(kernelModule(options.flavour).module, memory);
  return () => readRuns((runs + 1) * 65536, 65536, 0, runs);
}
