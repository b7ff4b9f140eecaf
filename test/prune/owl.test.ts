import { expect, test } from 'vitest';
import { outlierRatio, owlSparsities } from '../../src/prune/owl.ts';

test('outliers: scores above so many times the mean of all matrices together', () => {
  // The mean of these eight is 4: 12 is no outlier at M = 3, 13 is one.
  const matrices = (): Float64Array[] => [Float64Array.of(1, 1, 12, 1), Float64Array.of(13, 1, 2, 1)];
  expect(outlierRatio(matrices, 3)).toBe(1 / 8);
  expect(outlierRatio(matrices, 2.9)).toBe(2 / 8);
  expect(outlierRatio(() => [new Float64Array(4)], 5)).toBe(0);
});

test('densities: the ratios stretched to 2 lambda, around the share; the most outliers are pruned least', () => {
  const sparsities = owlSparsities([0.1, 0.2, 0.5], 0.7, 0.1);
  // Above the least: 0, 0.05 and 0.2 of density, 1/12 on average.
  [0.7 + 1 / 12, 0.65 + 1 / 12, 0.5 + 1 / 12].forEach((s, i) => expect(sparsities[i]).toBeCloseTo(s, 14));
  expect(sparsities.reduce((sum, s) => sum + s, 0) / 3).toBeCloseTo(0.7, 14);
});

test('blocks that are all alike, or only one, get the share itself', () => {
  expect(owlSparsities([0.3, 0.3], 0.5, 0.08)).toEqual([0.5, 0.5]);
  expect(owlSparsities([0.3], 0.5, 0.08)).toEqual([0.5]);
});

test('a share that lambda would take out of range is refused, with the block', () => {
  expect(() => owlSparsities([1, 0], 0.05, 0.08)).toThrow(
    'OWL: sparsity of block 0: expected from 0 to below 1, got -0.030. Choose a lambda below 0.08, or another share.',
  );
  expect(() => owlSparsities([1, 0], 0.95, 0.08)).toThrow('OWL: sparsity of block 1: expected from 0 to below 1, got 1.030.');
});
