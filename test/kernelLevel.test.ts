/** The kernel level against the formulas written out, on plain row-major arrays. */
import { describe, expect, it } from 'vitest';
import { Random } from '../src/core/random.ts';
import type { PackOptions } from '../src/kernelLevel.ts';
import { LorsLayer, merge, pack, spmm, spmmT, unpack } from '../src/kernelLevel.ts';

/** Small integers: every order of summation gives the same bits, so results are compared with ===. */
function integers(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => random.below(7) - 3);
}

const [rows, cols, tokens, rank, scaling] = [21, 26, 19, 3, 2];
const random = new Random(5);
const matrix = integers(random, rows * cols).map((w, i) => (w === 0 || i % 3 === 0 ? 0 : w));
const [x, dy] = [integers(random, tokens * cols), integers(random, tokens * rows)];
const factors = { rank, up: integers(random, rows * rank), down: integers(random, rank * cols) };
const mergedWith = (weights: Float32Array): Float32Array =>
  weights.map((w, at) => {
    if (w === 0) return 0;
    let update = 0;
    for (let k = 0; k < rank; k++) update += factors.up[Math.floor(at / cols) * rank + k]! * factors.down[k * cols + (at % cols)]!;
    return w + scaling * update;
  });

/** a [n, k] times b [k, m]. */
function product(a: Float32Array, b: Float32Array, n: number, k: number, m: number): Float32Array {
  return Float32Array.from({ length: n * m }, (_, at) => {
    let sum = 0;
    for (let j = 0; j < k; j++) sum += a[Math.floor(at / m) * k + j]! * b[j * m + (at % m)]!;
    return sum;
  });
}

function transpose(a: Float32Array, n: number, m: number): Float32Array {
  return Float32Array.from({ length: n * m }, (_, at) => a[(at % n) * m + Math.floor(at / n)]!);
}

/** The same matrix with its blocks of four outputs whole: 4x1. */
const inBlocks = matrix.map((w, i) => (((i % cols) + 5 * Math.floor(i / cols / 4)) % 3 === 0 ? 0 : w || 1));

describe.each([
  ['quad', matrix, { format: 'quad' }],
  ['csr', matrix, { format: 'csr' }],
  ['block', inBlocks, { format: 'block', block: '4x1' }],
] satisfies [string, Float32Array, PackOptions][])('%s', (_format, matrix, options) => {
  const weight = pack(matrix, rows, cols, options);
  const merged = mergedWith(matrix);

  it('gives the matrix back', () => {
    expect(unpack(weight)).toEqual(matrix);
  });

  it('multiplies in both directions', () => {
    expect(spmm(weight, x, tokens)).toEqual(product(x, transpose(matrix, rows, cols), tokens, cols, rows));
    expect(spmmT(weight, dy, tokens)).toEqual(product(dy, matrix, tokens, rows, cols));
  });

  it('merges on the pattern only', () => {
    expect(merge(weight, factors, scaling)).toEqual(merged);
  });

  it.each(['lors', 'exact'] as const)('runs a LoRS layer forward and backward with the %s gradient', (gradient) => {
    const layer = new LorsLayer(weight, factors, { scaling, gradient, maxTokens: 32 });
    expect(layer.forward(x, tokens)).toEqual(product(x, transpose(merged, rows, cols), tokens, cols, rows));
    const full = product(transpose(dy, tokens, rows), x, rows, tokens, cols);
    const seen = gradient === 'lors' ? full : full.map((g, i) => (matrix[i] === 0 ? 0 : g));
    const { dx, dUp, dDown } = layer.backward(x, dy, tokens);
    expect(dx).toEqual(product(dy, merged, tokens, rows, cols));
    expect(dUp).toEqual(product(seen, transpose(factors.down, rank, cols), rows, cols, rank).map((g) => scaling * g));
    expect(dDown).toEqual(product(transpose(factors.up, rows, rank), seen, rank, rows, cols).map((g) => scaling * g));
  });
});

// More outputs, or inputs, than a unit of any format has: blocks 512, CSR 1024, quads 256 outputs and 1152 inputs.
describe.each([
  ['quad', { format: 'quad' }],
  ['csr', { format: 'csr' }],
  ['block', { format: 'block', block: '4x1' }],
  ['block', { format: 'block', block: '1x4' }],
  ['dense', { format: 'dense' }],
] satisfies [string, PackOptions][])('%s', (_format, options) => {
  it.each([
    [8, 1200],
    [1200, 8],
  ])('%i x %i: all of it is multiplied', (rows, cols) => {
    const matrix = integers(random, rows * cols).map((w, i) => ((((i % cols) >> 2) + (Math.floor(i / cols) >> 2)) % 2 ? 0 : w || 1));
    const [x, dy] = [integers(random, tokens * cols), integers(random, tokens * rows)];
    const weight = pack(matrix, rows, cols, options);
    expect(spmm(weight, x, tokens)).toEqual(product(x, transpose(matrix, rows, cols), tokens, cols, rows));
    expect(spmmT(weight, dy, tokens)).toEqual(product(dy, matrix, tokens, rows, cols));
  });
});

describe('bad input', () => {
  const weight = pack(matrix, rows, cols);

  it('says which array has the wrong length', () => {
    expect(() => pack(matrix, rows, cols + 1)).toThrow(/pack: expected 21 x 27 = 567 elements, got 546/);
    expect(() => spmm(weight, x, tokens + 1)).toThrow(/spmm: expected 20 tokens x 26 features = 520 numbers, got 494/);
    expect(() => merge(weight, { ...factors, up: factors.down }, 1)).toThrow(/up: expected 21 x 3 = 63 numbers, got 78/);
  });

  it('refuses more tokens than a layer was made for', () => {
    const layer = new LorsLayer(weight, factors, { scaling, maxTokens: 16 });
    expect(() => layer.forward(x, tokens)).toThrow(/at most 16 tokens, got 19/);
  });
});

it('a weight without inputs, or without outputs, gives zeros', () => {
  expect(spmm(pack(new Float32Array(0), 4, 0), new Float32Array(0), 3)).toEqual(new Float32Array(12));
  expect(spmmT(pack(new Float32Array(0), 0, 4), new Float32Array(0), 3)).toEqual(new Float32Array(12));
});
