import { describe, expect, test } from 'vitest';
import { encodeWeights } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { keepMaskOf, pack, packDense, unpack, valueOrder } from '../../src/sparse/pack.ts';
import { indexBytes } from '../../src/sparse/weight.ts';
import { sameBits } from '../kernels/claims.ts';
import { MASKS, gaussians, masked } from '../kernels/data.ts';

const SHAPES = [
  [1, 1],
  [4, 4],
  [53, 76],
  [61, 77],
  [513, 260],
  [520, 300],
] as const;
const DTYPES = ['F32', 'F16', 'BF16'] as const;
const FORMATS = ['quad', 'csr', 'dense'] as const;

describe.each(Object.keys(MASKS) as (keyof typeof MASKS)[])('a %s mask', (name) => {
  const cases = SHAPES.map(([rows, cols]) => {
    const random = new Random(rows);
    const keep = MASKS[name](random, rows, cols);
    return { rows, cols, keep, values: masked(gaussians(random, rows * cols), keep) };
  });

  test.each(cases)('$rows x $cols comes back bit for bit from every format and type', ({ rows, cols, values }) => {
    for (const dtype of DTYPES) {
      const elements = encodeWeights(dtype, values);
      for (const format of FORMATS) {
        const weight = pack(dtype, elements, rows, cols, { format });
        expect([format, dtype, sameBits(unpack(weight, weight.values), elements)]).toEqual([format, dtype, true]);
      }
    }
  });

  test.each(cases)('$rows x $cols: the index arrays are the mask, and list each value once', ({ rows, cols, keep, values }) => {
    for (const format of ['quad', 'csr'] as const) {
      const weight = pack('F32', values, rows, cols, { keep, format });
      expect(sameBits(keepMaskOf(weight), keep)).toBe(true);
      expect(new Set(valueOrder(weight)).size).toBe(weight.kept);
      expect(weight.kept).toBe(keep.reduce((a, b) => a + b, 0));
      expect(indexBytes(weight)).toBeGreaterThan(0);
    }
  });
});

test('a kept value that is exactly zero stays in the pattern: training may pass through it', () => {
  const values = Float32Array.of(1, 0, 0, 2, 0, 3, 4, 0);
  const keep = Uint8Array.of(1, 1, 0, 1, 0, 1, 1, 0);
  for (const format of ['quad', 'csr'] as const) {
    const weight = pack('F32', values, 2, 4, { keep, format });
    expect(weight.kept).toBe(5);
    expect(keepMaskOf(weight)).toEqual(keep);
    expect(unpack(weight, weight.values)).toEqual(values);
    // Without the mask the zero would be one of the pruned.
    expect(pack('F32', values, 2, 4, { format }).kept).toBe(4);
  }
});

test('a negative zero is a zero of the mask, in every type', () => {
  const values = Float32Array.of(1, -0, 0, 2);
  for (const dtype of DTYPES) {
    for (const format of ['quad', 'csr'] as const)
      expect(keepMaskOf(pack(dtype, encodeWeights(dtype, values), 1, 4, { format }))).toEqual(Uint8Array.of(1, 0, 0, 1));
  }
});

test('a subnormal is no zero: it is kept', () => {
  expect(keepMaskOf(pack('F16', Uint16Array.of(1, 0x8001, 0, 0x8000), 1, 4, { format: 'csr' }))).toEqual(Uint8Array.of(1, 1, 0, 0));
  expect(keepMaskOf(pack('F32', Float32Array.of(2 ** -149, 0), 1, 2, { format: 'quad' }))).toEqual(Uint8Array.of(1, 0));
});

test('nothing kept at all packs and unpacks', () => {
  for (const format of ['quad', 'csr'] as const) {
    const weight = pack('F32', new Float32Array(12), 3, 4, { format });
    expect(weight.kept).toBe(0);
    expect(unpack(weight, weight.values)).toEqual(new Float32Array(12));
  }
});

test('unpack takes values of another type in the same order: a merged weight, a gradient', () => {
  const weight = pack('BF16', encodeWeights('BF16', Float32Array.of(0, 1, 2, 0)), 1, 4, { format: 'csr' });
  expect(unpack(weight, Float32Array.of(10, 20))).toEqual(Float32Array.of(0, 10, 20, 0));
});

test('dense panels pad the last four rows with zeros', () => {
  const weight = packDense('F32', Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 5, 2);
  expect(weight.values).toEqual(Float32Array.of(1, 3, 5, 7, 2, 4, 6, 8, 9, 0, 0, 0, 10, 0, 0, 0));
});

test('a matrix of the wrong size is refused with both sizes', () => {
  expect(() => pack('F32', new Float32Array(11), 3, 4)).toThrow('pack: expected 3 x 4 = 12 elements, got 11.');
});

test('the index of a 2:4 weight takes little more than half a byte a kept weight', () => {
  const [rows, cols] = [1024, 256];
  const keep = MASKS['2:4'](new Random(1), rows, cols);
  const weight = pack('BF16', encodeWeights('BF16', masked(gaussians(new Random(2), rows * cols), keep)), rows, cols);
  expect(indexBytes(weight) / weight.kept).toBeLessThan(0.54);
});
