import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { LEVELS, codes, decoded, gridOf, groupsOf, snapped } from '../../src/quant/grid.ts';
import { MASKS, gaussians, masked } from '../kernels/data.ts';

/** [rows, cols, size]: whole groups, a short last group, rows shorter than a group, a group for each quad. */
const SHAPES = [
  [5, 64, 16],
  [7, 76, 16],
  [3, 20, 128],
  [4, 13, 4],
] as const;

const cases = SHAPES.map(([rows, cols, size], i) => {
  const random = new Random(i);
  const keep = MASKS['50 %'](random, rows, cols);
  const elements = masked(gaussians(random, rows * cols, 0.02), keep);
  return { name: `${rows} x ${cols} by ${size}`, rows, cols, size, keep, elements, grid: gridOf(elements, rows, cols, size) };
});

describe.each(cases)('$name', ({ rows, cols, size, keep, elements, grid }) => {
  const groups = groupsOf(grid);
  const groupAt = (i: number): number => Math.floor(i / cols) * groups + Math.floor((i % cols) / size);

  test('has a scale and a whole zero point for each row and group', () => {
    expect([grid.scales.length, grid.zeros.length]).toEqual([rows * Math.ceil(cols / size), rows * Math.ceil(cols / size)]);
    expect(grid.scales.every((s) => s > 0)).toBe(true);
    expect(grid.zeros.every((z) => Number.isInteger(z) && z >= 0 && z <= LEVELS)).toBe(true);
  });

  test('is no more than half a step from any weight, and exactly at what is pruned', () => {
    const points = snapped(elements, grid);
    elements.forEach((w, i) => {
      // A zero point is rounded to a whole number: the ends of the range move by up to half a step, and are cut off there.
      const scale = grid.scales[groupAt(i)]!;
      expect(Math.abs(points[i]! - w)).toBeLessThanOrEqual(scale * (0.5 + 1e-5) + (isEnd(points[i]!, i) ? scale * 0.5 : 0));
      if (!keep[i]) expect(Object.is(points[i], 0)).toBe(true);
    });
  });

  /** Whether a point is the first or the last of its group's grid. */
  function isEnd(point: number, i: number): boolean {
    const [scale, zero] = [grid.scales[groupAt(i)]!, grid.zeros[groupAt(i)]!];
    return point === Math.fround(scale * -zero) || point === Math.fround(scale * (LEVELS - zero));
  }

  test('is idempotent: a point of the grid stays where it is', () => {
    const points = snapped(elements, grid);
    expect(snapped(points, grid)).toEqual(points);
  });

  test('codes are what INT4 holds, and lose nothing', () => {
    const n = codes(elements, grid);
    expect(n.every((code) => code <= LEVELS)).toBe(true);
    expect(decoded(n, grid)).toEqual(snapped(elements, grid));
    elements.forEach((w, i) => w === 0 && expect(n[i]).toBe(grid.zeros[groupAt(i)]));
  });

  test('its own points have the same codes on a grid that is made of them, up to its ends', () => {
    const points = snapped(elements, grid);
    const again = gridOf(points, rows, cols, size);
    // The points of a group span at most the range that the grid was made for.
    again.scales.forEach((s, g) => s !== 1 && expect(s).toBeLessThanOrEqual(grid.scales[g]! * (1 + 1e-6)));
  });
});

test('halves go to the even multiple, as PyTorch rounds: no drift to one side', () => {
  const grid = { rows: 1, cols: 8, size: 8, scales: Float32Array.of(2), zeros: Float32Array.of(7) };
  const elements = Float32Array.of(1, 3, 5, -1, -3, 4.999, -14, 17);
  expect([...snapped(elements, grid)]).toEqual([0, 4, 4, 0, -4, 4, -14, 16]);
});

test('beyond its ends a weight goes to the nearest end', () => {
  const grid = { rows: 1, cols: 4, size: 4, scales: Float32Array.of(0.5), zeros: Float32Array.of(4) };
  expect([...snapped(Float32Array.of(-9, 9, 1e30, -1e30), grid)]).toEqual([-2, 5.5, 5.5, -2]);
});

test('one sign only: the whole range is its side of zero', () => {
  expect(gridOf(Float32Array.of(1, 2, 3, 15), 1, 4, 4)).toMatchObject({ scales: Float32Array.of(1), zeros: Float32Array.of(0) });
  expect(gridOf(Float32Array.of(-1, -2, -3, -15), 1, 4, 4)).toMatchObject({ scales: Float32Array.of(1), zeros: Float32Array.of(15) });
});

test('a group of zeros, or of numbers too small to tell apart, is all 0 and no division by zero', () => {
  for (const elements of [new Float32Array(4), Float32Array.of(1e-45, 0, 0, -1e-45)]) {
    expect([...snapped(elements, gridOf(elements, 1, 4, 4))]).toEqual([0, 0, 0, 0]);
  }
});

test('a group is a multiple of 4 inputs', () => {
  for (const size of [0, 2, 6, -4, 4.5])
    expect(() => gridOf(new Float32Array(8), 1, 8, size)).toThrow('--group-size: expected a multiple of 4');
});
