import { describe, test } from 'vitest';
import { encodeWeights } from '../../src/core/dtypes.ts';
import type { WeightDtype } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { pack } from '../../src/sparse/pack.ts';
import type { PackedWeight } from '../../src/sparse/weight.ts';
import { EPS, expectClose, expectExact, expectWithin, largest, tolerance } from './claims.ts';
import { BLOCK_NAMES, isBlockName } from '../../src/sparse/block.ts';
import type { BlockName } from '../../src/sparse/block.ts';
import { MASKS, blockMask, gaussians, integers, masked } from './data.ts';
import { eachFlavour } from './harness.ts';
import { WeightCalls } from './weightCalls.ts';
import { weightCases } from './weightCases.ts';

const whole = weightCases('integers').map(({ name, calls, random }, i) => {
  const { rows, cols } = calls.weight;
  const rank = [4, 12, 8, 16, 36][i % 5]!;
  const factors = { up: integers(random, rows * rank), downT: integers(random, cols * rank), rank, scaling: 0.5 };
  return { name: `${name} rank ${rank}`, merge: calls.merge(factors), update: calls.merge(factors, 'zeros'), unpack: calls.merge() };
});

/** Every kind of number a half type has: normal, subnormal, both zeros, the largest. */
const SPECIAL = [0, -0, 1, -1.5, 2 ** -24, -(2 ** -24), 1023 * 2 ** -24, 2 ** -14, -(2 ** -15), 65504, -65504, 0.1, -1 / 3];

function halves(
  dtype: WeightDtype,
  format: PackedWeight['format'],
  mask: keyof typeof MASKS | BlockName,
): { calls: WeightCalls; random: Random } {
  const random = new Random(7);
  const [rows, cols] = [53, 77];
  const keep = isBlockName(mask) ? blockMask(random, rows, cols, mask, 0.6) : MASKS[mask](random, rows, cols);
  const numbers = gaussians(random, rows * cols).map((v, i) => (i % 3 ? v : SPECIAL[(i / 3) % SPECIAL.length]!));
  const weight = pack(dtype, encodeWeights(dtype, masked(numbers, keep)), rows, cols, {
    keep,
    format,
    ...(isBlockName(mask) && { block: mask }),
  });
  return { calls: new WeightCalls(weight, 1), random };
}

const SCATTERED = ['2:4', '1:4', '3:4', '50 %', '90 % sparse', 'dense'] as const;
const HALF_MASKS = { quad: SCATTERED, csr: SCATTERED, block: BLOCK_NAMES, dense: ['dense'] } as const;
const HALF_CASES = (['F16', 'BF16'] as const).flatMap((dtype) =>
  Object.entries(HALF_MASKS).flatMap(([format, masks]) =>
    masks.map((mask) => ({ name: `${dtype} ${format} ${mask}`, ...halves(dtype, format as PackedWeight['format'], mask) })),
  ),
);

const rounded = weightCases('gaussians')
  .filter(({ name }) => !name.includes('61x77'))
  .map(({ name, calls, random }) => {
    const { rows, cols, values } = calls.weight;
    const factors = { up: gaussians(random, rows * 8), downT: gaussians(random, cols * 8), rank: 8, scaling: 2 };
    return {
      name,
      call: calls.merge(factors),
      allowed: tolerance(8, 2 * largest(factors.up), largest(factors.downT)) + 2 * EPS * largest(values),
    };
  });

eachFlavour((flavour) => {
  test.each(whole)('$name: each value takes the update of its own row and column, at any split', ({ merge }) => {
    expectExact(merge, flavour);
  });

  test.each(whole)('$name: with no values, the update alone: what was there before is not in it', ({ update }) => {
    expectExact(update, flavour);
  });

  test.each(whole)('$name: rank 0 changes nothing and reads no factor', ({ unpack }) => {
    expectExact(unpack, flavour);
  });

  test.each(rounded)('$name: Gaussians stay within the rounding of a sum', ({ call, allowed }) => {
    expectWithin(call, flavour, allowed);
  });

  describe.each(HALF_CASES)('$name', ({ calls, random }) => {
    test('unpacks every number exactly, subnormals, zeros and a lone last value too', () => {
      expectExact(calls.merge(), flavour);
    });

    test('adds the update to the decoded value, not to its bits', () => {
      const { rows, cols } = calls.weight;
      const factors = { up: gaussians(random, rows * 4), downT: gaussians(random, cols * 4), rank: 4, scaling: 2 };
      const call = calls.merge(factors);
      const update = tolerance(4, 2 * largest(factors.up), largest(factors.downT));
      const want = call.oracle().get('merged')!;
      expectClose(call.kernel, call.run(flavour).get('merged')!, want, (i) => update + 2 * EPS * Math.abs(want[i]!));
    });
  });
});
