import { describe, expect, test } from 'vitest';
import { encodeWeights } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { keepMaskOf, pack, packDense, unpack, valueOrder } from '../../src/sparse/pack.ts';
import { indexBytes, isWhole, keepsPairs } from '../../src/sparse/weight.ts';
import { sameBits } from '../kernels/claims.ts';
import { BLOCKS, BLOCK_NAMES, eachInBlocks } from '../../src/sparse/block.ts';
import { MASKS, blockMask, gaussians, masked } from '../kernels/data.ts';

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

describe.each(BLOCK_NAMES)('blocks of %s', (block) => {
  const cases = [...SHAPES, [21, 530] as const].map(([rows, cols]) => {
    const random = new Random(rows + cols);
    const keep = blockMask(random, rows, cols, block, 0.7);
    return { rows, cols, keep, values: masked(gaussians(random, rows * cols), keep) };
  });

  test.each(cases)('$rows x $cols come back bit for bit in every type; the index is the mask, each value once', (c) => {
    const { rows, cols, keep, values } = c;
    for (const dtype of DTYPES) {
      const elements = encodeWeights(dtype, values);
      const weight = pack(dtype, elements, rows, cols, { format: 'block', block });
      expect([dtype, sameBits(unpack(weight, weight.values), elements)]).toEqual([dtype, true]);
      expect(sameBits(keepMaskOf(weight), keep)).toBe(true);
      expect(weight.kept).toBe(keep.reduce((a, b) => a + b, 0));
      expect(new Set(valueOrder(weight)).size).toBe(weight.kept);
    }
  });

  test('are recognised from the zeros of a matrix, at its edges too, and by their largest name', () => {
    for (const [rows, cols] of [
      [64, 96],
      [53, 76],
      [61, 77],
      [21, 530],
    ] as const) {
      const keep = blockMask(new Random(1), rows, cols, block, 0.5);
      const weight = pack('BF16', encodeWeights('BF16', masked(gaussians(new Random(2), rows * cols), keep)), rows, cols);
      expect([weight.format, weight.pattern, weight.format === 'block' && weight.block]).toEqual(['block', block, block]);
    }
  });

  test('with one weight more or less are no blocks: as before', () => {
    const [rows, cols] = [64, 96];
    for (const density of [0.5, 0.1]) {
      const whole = blockMask(new Random(1), rows, cols, block, density);
      for (const at of [whole.indexOf(1), whole.lastIndexOf(0)]) {
        const keep = whole.map((k, i) => (i === at ? 1 - k : k));
        const weight = pack('F32', masked(gaussians(new Random(2), rows * cols), keep), rows, cols);
        expect([weight.format, weight.pattern]).toEqual(['csr', 'unstructured']);
        expect(() => pack('F32', gaussians(new Random(2), rows * cols), rows, cols, { keep, format: 'block', block })).toThrow(
          `pack: expected a mask of whole blocks of ${block}, got 64 x 96 with others.`,
        );
      }
    }
  });

  test('take a byte of index each, and eight a strip and segment', () => {
    const [rows, cols] = [512, 512];
    const keep = blockMask(new Random(1), rows, cols, block, 1);
    const weight = pack('F32', masked(gaussians(new Random(2), rows * cols), keep), rows, cols, { format: 'block', block });
    const { rows: R, cols: C } = BLOCKS[block];
    const lists = (512 / Math.max(R, C)) * (block === '4x4' ? 1 : 2);
    expect(indexBytes(weight)).toBe(weight.kept / (R * C) + 8 * (lists + 1));
  });
});

test('blocks stand panel by panel: for each listed feature the four of the panel', () => {
  const positions = (block: (typeof BLOCK_NAMES)[number], rows: number, cols: number, starts: number[], index: number[]): number[] => {
    const all: number[] = [];
    const packed = { block, starts: Uint32Array.from(starts), index: Uint8Array.from(index) };
    eachInBlocks(packed, rows, cols, (position) => all.push(position));
    return all;
  };
  expect(positions('4x1', 5, 3, [0, 0, 2, 8, 3, 9], [0, 2, 1])).toEqual([0, 3, 6, 9, 2, 5, 8, 11, 13]);
  expect(positions('16x1', 6, 2, [0, 0, 1, 6], [1])).toEqual([1, 3, 5, 7, 9, 11]);
  expect(positions('1x4', 2, 6, [0, 0, 1, 4, 3, 8], [1, 0, 1])).toEqual([6, 7, 8, 9, 4, 5, 10, 11]);
  expect(positions('4x4', 4, 6, [0, 0, 1, 8], [1])).toEqual([4, 10, 16, 22, 5, 11, 17, 23]);
});

test('a matrix of nearly whole rows or columns was not pruned in blocks', () => {
  const keep = new Uint8Array(64 * 64).map((_, i) => (i % 64 === 7 ? 0 : 1));
  expect(pack('F32', masked(gaussians(new Random(1), 64 * 64), keep), 64, 64)).toMatchObject({ format: 'quad', pattern: 'unstructured' });
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

test('a 16-bit weight for one token at a time has its zeros in place, and can still say which they are', () => {
  const keep = MASKS['2:4'](new Random(5), 24, 40);
  const elements = encodeWeights('BF16', masked(gaussians(new Random(6), 24 * 40), keep));
  const weight = pack('BF16', elements, 24, 40, { packedFor: 'one token' });
  expect(weight).toMatchObject({ format: 'dense', pattern: '2:4', kept: 24 * 20 });
  expect(isWhole(weight)).toBe(false);
  expect(sameBits(keepMaskOf(weight), keep)).toBe(true);
  expect(sameBits(unpack(weight, weight.values), elements)).toBe(true);
  expect(isWhole(pack('BF16', elements, 24, 40, { packedFor: 'one token, few bytes' }))).toBe(true);
});

test('for one token at a time too a mask that is given holds, whatever the elements', () => {
  const keep = MASKS['2:4'](new Random(5), 24, 40);
  const elements = encodeWeights('BF16', gaussians(new Random(6), 24 * 40));
  elements[keep.indexOf(1)] = 0;
  const weight = pack('BF16', elements, 24, 40, { keep, packedFor: 'one token' });
  expect(weight).toMatchObject({ format: 'csr', kept: 24 * 20 });
  expect(sameBits(keepMaskOf(weight), keep)).toBe(true);
  const masked = elements.map((v, i) => (keep[i] ? v : 0));
  expect(sameBits(unpack(weight, weight.values), masked)).toBe(true);
});

test.each([
  [true, '2:4', 8, '11001010 01010011'],
  [true, '1:2, which is one', 8, '10011010 01010110'],
  [false, 'a row that keeps one of four', 800, '1100'.repeat(399) + '1000'],
  [false, '4:8, as many of other fours', 8, '11101000 00011110'],
  [false, 'fours with one and with three', 4, '1000 0111 1000 0111'],
  [false, 'a last group of two, which keeps one', 6, '011001 100110'],
])('pairs: %s for %s', (expected, _, cols, mask) => {
  const keep = Uint8Array.from(mask.replaceAll(' ', ''), Number);
  expect(keepsPairs(pack('F32', Float32Array.from(keep), keep.length / cols, cols, { format: 'quad' }))).toBe(expected);
});
