import { expect, test } from 'vitest';
import { LEVELS, snapped } from '../../src/quant/grid.ts';
import type { Grid } from '../../src/quant/grid.ts';
import { unpack } from '../../src/sparse/pack.ts';
import { expectExact, sameBits } from './claims.ts';
import { eachFlavour } from './harness.ts';
import { gaussians } from './data.ts';
import type { WeightCase } from './weightCases.ts';
import { weightCases } from './weightCases.ts';

/** Inputs of a group: one quad, two, more than a column block of CSR, more than any row here. */
const SIZES = [4, 8, 260, 1024] as const;

/** Scales that are powers of two and values in halves: quotients are exact, and many are half way between two points. */
const exact = weightCases('integers').map(({ name, calls, random }, i) => {
  const { rows, cols } = calls.weight;
  const size = SIZES[i % SIZES.length]!;
  const groups = rows * Math.ceil(cols / size);
  const scales = Float32Array.from({ length: groups }, () => 2 ** (random.below(4) - 1));
  const zeros = Float32Array.from({ length: groups }, () => random.below(LEVELS + 1));
  const values = (calls.weight.values as Float32Array).map((v) => v * 2.5);
  return { name: `${name} by ${size}`, call: calls.snap(values, { scales, zeros, size }, LEVELS) };
});

const rounded = weightCases('gaussians').map(({ name, calls, random }: WeightCase, i) => {
  const { rows, cols } = calls.weight;
  const size = SIZES[i % SIZES.length]!;
  const groups = rows * Math.ceil(cols / size);
  const scales = gaussians(random, groups).map((g) => Math.abs(g) * 0.1 + 0.01);
  const zeros = Float32Array.from({ length: groups }, () => random.below(LEVELS + 1));
  const grid: Grid = { rows, cols, size, scales, zeros };
  const values = calls.weight.values as Float32Array<ArrayBuffer>;
  return { name: `${name} by ${size}`, calls, values, grid, call: calls.snap(values, { scales, zeros, size }, LEVELS) };
});

eachFlavour((flavour) => {
  test.each(exact)('$name: each value goes to the grid of its own row and group, halves to even, at any split', ({ call }) => {
    expectExact(call, flavour);
  });

  test.each(rounded)('$name: the bits of the quantiser that made the grid', ({ calls, values, grid, call }) => {
    const got = call.run(flavour).get('merged') as Float32Array;
    expect(sameBits(unpack(calls.weight, got), snapped(unpack(calls.weight, values), grid))).toBe(true);
  });

  test('what is not a number stays none: divergence must show', () => {
    const { calls, grid } = rounded[0]!;
    const values = new Float32Array(calls.weight.values.length).fill(NaN);
    const got = calls
      .snap(values, grid as never, LEVELS)
      .run(flavour)
      .get('merged') as Float32Array;
    expect(got.every(Number.isNaN)).toBe(true);
  });
});
