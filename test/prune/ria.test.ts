import { expect, test } from 'vitest';
import { riaScores } from '../../src/prune/ria.ts';

test('RIA: shares of the input and of the output, times the root of the norm; by hand', () => {
  // Inputs sum to 4 and 6, outputs to 3 and 7; norms 4 and 9.
  const scores = riaScores(Float32Array.of(1, -2, -3, 4), Float64Array.of(4, 9));
  const expected = [(1 / 4 + 1 / 3) * 2, (2 / 6 + 2 / 3) * 3, (3 / 4 + 3 / 7) * 2, (4 / 6 + 4 / 7) * 3];
  expected.forEach((score, i) => expect(scores[i]).toBeCloseTo(score, 14));
});

test('RIA: an input and an output without weights score 0', () => {
  expect([...riaScores(Float32Array.of(0, 0, 0, 5), Float64Array.of(4, 9))]).toEqual([0, 0, 0, 6]);
});
