/** Channel permutation: the assignment against all there are, and what it does to a mask. */
import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { assign } from '../../src/prune/assign.ts';
import { permuteChannels, selectPermuted } from '../../src/prune/permute.ts';
import { selectKept } from '../../src/prune/select.ts';

function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((p) => Array.from({ length: n }, (_, at) => [...p.slice(0, at), n - 1, ...p.slice(at)]));
}

describe.each([1, 2, 3, 5, 7])('assignment of %i', (n) => {
  test.each([
    ['many ties', (random: Random) => random.below(3)],
    ['negative costs', (random: Random) => random.normal() - 2],
  ])('%s: no other costs less', (_, cost) => {
    const random = new Random(n);
    for (let round = 0; round < 5; round++) {
      const costs = Float64Array.from({ length: n * n }, () => cost(random));
      const total = (columns: ArrayLike<number>): number => Array.from(columns).reduce((sum, c, r) => sum + costs[r * n + c]!, 0);
      const found = assign(costs, n);
      expect([...found].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      // Sums in another order differ in their last bits.
      expect(total(found)).toBeLessThanOrEqual(Math.min(...permutations(n).map(total)) + 1e-12);
    }
  });
});

/** Scores as calibration makes them: some inputs matter far more than others. */
function heavyTailed(random: Random, rows: number, cols: number): Float64Array {
  const inputs = Float64Array.from({ length: cols }, () => Math.exp(2 * random.normal()));
  return Float64Array.from({ length: rows * cols }, (_, i) => Math.abs(random.normal()) * inputs[i % cols]!);
}

const keptScore = (scores: Float64Array, keep: Uint8Array): number => scores.reduce((sum, score, i) => sum + score * keep[i]!, 0);

test('important inputs in one group: each finds a place in a group of its own, and none of them is dropped', () => {
  // Inputs 0 to 3 of 16 matter, to every output.
  const scores = Float64Array.from({ length: 5 * 16 }, (_, i) => (i % 16 < 4 ? 100 : 1) + (i % 7) / 10);
  const order = permuteChannels(scores, 5, 16, 1, 4);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i));
  const keep = selectPermuted(scores, 5, 16, 1, 4);
  expect([...keep]).toEqual(Array.from({ length: 5 * 16 }, (_, i) => +(i % 16 < 4)));
});

test.each([
  [2, 4],
  [1, 4],
  [3, 4],
  [4, 8],
])('%i:%i: n of m of each group in the new order, and more of the score than neighbours keep', (n, m) => {
  const random = new Random(7);
  const [rows, cols] = [9, 40];
  for (let round = 0; round < 5; round++) {
    const scores = heavyTailed(random, rows, cols);
    const keep = selectPermuted(scores, rows, cols, n, m);
    const order = permuteChannels(scores, rows, cols, n, m);
    for (let r = 0; r < rows; r++) {
      for (let g = 0; g < cols; g += m) {
        const group = Array.from(order.subarray(g, g + m), (c) => ({ score: scores[r * cols + c]!, kept: keep[r * cols + c]! }));
        group.sort((a, b) => b.score - a.score);
        expect(group.map(({ kept }) => kept)).toEqual(Array.from({ length: m }, (_, i) => +(i < n)));
      }
    }
    const neighbours = selectKept(scores, rows, cols, { kind: 'n:m', keep: n, group: m });
    expect(keptScore(scores, keep)).toBeGreaterThan(keptScore(scores, neighbours));
  }
});

test('the last place is as good as it gets: no two groups would gain by exchanging their inputs there', () => {
  const random = new Random(8);
  const [rows, cols, n, m] = [6, 24, 2, 4];
  const scores = heavyTailed(random, rows, cols);
  const order = permuteChannels(scores, rows, cols, n, m);
  const kept = (by: Uint32Array): number => {
    let sum = 0;
    for (let r = 0; r < rows; r++) {
      for (let g = 0; g < cols; g += m) {
        const group = Array.from(by.subarray(g, g + m), (c) => scores[r * cols + c]!).sort((a, b) => b - a);
        sum += group.slice(0, n).reduce((s, score) => s + score, 0);
      }
    }
    return sum;
  };
  for (let a = m - 1; a < cols; a += m) {
    for (let b = m - 1; b < a; b += m) {
      const other = order.slice();
      [other[a], other[b]] = [order[b]!, order[a]!];
      expect(kept(other)).toBeLessThanOrEqual(kept(order) * (1 + 1e-12));
    }
  }
});
