// A Llama of any shape with random weights, made one matrix at a time: what benches of speed and memory run on.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HEAP } from '../dist/core/room.js';
import { parseConfig } from '../dist/models/config.js';
import { PROJECTIONS, normName, projectionName, projectionShape, FINAL_NORM } from '../dist/models/names.js';
import { pack, packDense } from '../dist/sparse/pack.js';

/** The configuration of bench/shapes/NAME.json, or of a file. @param {string} name */
export function shapeConfig(name) {
  const path = name.endsWith('.json') ? name : fileURLToPath(new URL(`shapes/${name}.json`, import.meta.url));
  return parseConfig(JSON.parse(readFileSync(path, 'utf8')), path);
}

/** The six ways to keep two of four. */
const PAIRS = [0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100];

/**
 * Elements [rows, cols] with the pattern, the others 0; uniform with the given standard deviation. xorshift32: fast, and
 * random enough for weights that nobody reads.
 * @param {'F32' | 'BF16'} dtype @param {string} pattern @param {number} rows @param {number} cols @param {number} deviation
 * @param {{ state: number }} random @param {import('../dist/core/room.js').Room} [room]
 */
function elements(dtype, pattern, rows, cols, deviation, random, room = HEAP) {
  const length = rows * cols;
  /** @type {Float32Array | Uint16Array} */
  const values = dtype === 'F32' ? room(Float32Array, length) : room(Uint16Array, length);
  const width = 2 * Math.sqrt(3) * deviation;
  const one = new Float32Array(1);
  const bits = new Uint32Array(one.buffer);
  // 4096 values of either sign, none of them zero, drawn from by twelve bits.
  const table = Array.from({ length: 4096 }, (_, i) => {
    one[0] = ((i + 0.5) / 4096 - 0.5) * width;
    return dtype === 'F32' ? (one[0] ?? 0) : (bits[0] ?? 0) >>> 16;
  });
  const drawn = dtype === 'F32' ? Float32Array.from(table) : Uint16Array.from(table);
  const share = pattern === '2:4' || pattern === 'dense' ? 0 : Math.round(Number(pattern) * 65536);
  let s = random.state;
  for (let i = 0; i < length; i += 2) {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    let keep = 3;
    if (pattern === '2:4') {
      if ((i & 3) === 0) random.state = PAIRS[(s >>> 24) % 6] ?? 0;
      keep = random.state >> (i & 2);
    } else if (share) keep = (s >>> 16 < share ? 1 : 0) | (Math.imul(s, 0x9e3779b1) >>> 16 < share ? 2 : 0);
    if (keep & 1) values[i] = drawn[s & 4095] ?? 0;
    if (keep & 2) values[i + 1] = drawn[(s >>> 12) & 4095] ?? 0;
  }
  random.state = s;
  return values;
}

/**
 * @param {import('../dist/models/config.js').LlamaConfig} config
 * @param {{ pattern: string, dtype: 'F32' | 'BF16', seed?: number, home?: import('../dist/models/model.js').WeightHome,
 *   flavour?: import('../dist/kernelLevel.js').Flavour }} options
 *   pattern: `2:4`, `dense`, or the share that is kept such as `0.3`
 * @returns {import('../dist/models/model.js').LlamaModel}
 */
export function randomModel(config, { pattern, dtype, seed = 1, home, flavour }) {
  const random = { state: seed };
  const linears = new Map();
  const gains = new Map();
  const gain = () => ({ dtype, values: new Float32Array(config.hiddenSize).fill(1) });
  // Residuals keep their size through the depth, so that losses and gradients look like a model's.
  const deviation = 0.5 / Math.sqrt(config.hiddenSize);
  const room = home?.room;
  const table = () => {
    const { vocabSize: rows, hiddenSize: cols } = config;
    const weight = packDense(dtype, elements(dtype, 'dense', rows, cols, 0.02, random, room), rows, cols, room);
    return home ? home.table(weight) : weight;
  };
  // First, since they are the largest: packing takes two copies more.
  const [embedding, head] = [table(), config.tied ? undefined : table()];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const projection of PROJECTIONS) {
      const name = projectionName(layer, projection);
      const [rows, cols] = projectionShape(config, projection);
      const values = elements(dtype, pattern, rows, cols, deviation, random, room);
      const weight = pack(dtype, values, rows, cols, { packedFor: flavour, room });
      linears.set(name, home ? home.linear(name, weight) : weight);
    }
    gains.set(normName(layer, 'input_layernorm'), gain());
    gains.set(normName(layer, 'post_attention_layernorm'), gain());
  }
  gains.set(FINAL_NORM, gain());
  return { name: 'random', config, linears, gains, embedding, head };
}
