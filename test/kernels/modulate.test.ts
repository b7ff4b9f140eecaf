import { describe, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { encodeWeights } from '../../src/core/dtypes.ts';
import type { WeightDtype } from '../../src/core/dtypes.ts';
import { CHUNK, DTYPE_CODE } from '../../src/kernels/table.ts';
import { EPS, expectClose, expectExact } from './claims.ts';
import { gaussians, integers } from './data.ts';
import type { Elements } from './elements.ts';
import { KernelCall, eachFlavour } from './harness.ts';

/** Lengths that end with a chunk, inside one at a vector's end, and with one, two and three values after it. */
const LENGTHS = [1, 3, CHUNK, 2 * CHUNK + 8, 3 * CHUNK - 2, 1031];
const DTYPES = ['F32', 'F16', 'BF16'] as const satisfies readonly WeightDtype[];

const flat = LENGTHS.flatMap((n) =>
  DTYPES.map((dtype) => {
    const random = new Random(n);
    const units = Math.ceil(n / CHUNK);
    const call = (numbers: Float32Array<ArrayBuffer>, first: Float32Array<ArrayBuffer>) => {
      const shared = { values: encodeWeights(dtype, numbers) as Elements, dtype: DTYPE_CODE[dtype], n };
      return {
        modulate: new KernelCall('modulate', units, { merged: first, ...shared }),
        times: new KernelCall('timesValues', units, { h: first, ...shared }),
      };
    };
    return {
      name: `${n} values of ${dtype}`,
      whole: call(integers(random, n), integers(random, n)),
      rounded: call(gaussians(random, n), gaussians(random, n)),
    };
  }),
);

/** Rows, rank (padded) and the rows that each rank serves: one, several, and ranks of the padding that serve none. */
const ROWS = [
  [12, 4, 3],
  [20, 8, 4],
  [8, 8, 1],
  [5, 4, 5],
  [36, 12, 4],
] as const;

eachFlavour((flavour) => {
  describe.each(flat)('$name', ({ whole, rounded }) => {
    test('small integers: W + W * update, and H * W, to the last value and no further, at any split', () => {
      expectExact(whole.modulate, flavour);
      expectExact(whole.times, flavour);
    });

    test('Gaussians: two roundings, and one', () => {
      for (const [call, output, roundings] of [
        [rounded.modulate, 'merged', 2],
        [rounded.times, 'h', 1],
      ] as const) {
        const want = call.oracle().get(output)!;
        // Where W and W * update cancel, their product was rounded before the sum.
        const most = (i: number): number => roundings * EPS * (Math.abs(want[i]!) + 16);
        expectClose(call.kernel, call.run(flavour).get(output)!, want, output === 'h' ? (i) => EPS * Math.abs(want[i]!) : most);
      }
    });
  });

  test.each(ROWS)('%i rows of rank %i, %i a rank: each q at its own rank, zeros around it', (rows, rank, repeats) => {
    const random = new Random(rows);
    expectExact(new KernelCall('spreadRows', rows, { up: rows * rank, q: integers(random, rows), rank, repeats }), flavour);
  });

  test.each(ROWS)('%i rows of rank %i, %i a rank: dq adds the number at its own rank', (rows, rank, repeats) => {
    const random = new Random(rows);
    const call = new KernelCall('gatherRows', rows, { dq: integers(random, rows), dUp: integers(random, rows * rank), rank, repeats });
    expectExact(call, flavour);
  });
});
