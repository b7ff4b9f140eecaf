import { describe, test } from 'vitest';
import { decodeWeights, encodeWeights } from '../../src/core/dtypes.ts';
import { expectClose, expectExact, expectSplitFree, expectWithin, largest, tolerance } from './claims.ts';
import { fullest, gaussians, integers } from './data.ts';
import { eachFlavour } from './harness.ts';
import { INITS, WeightCalls } from './weightCalls.ts';
import { weightCases } from './weightCases.ts';

const DTYPES = ['F32', 'F16', 'BF16'] as const;

const whole = weightCases('integers').map(({ name, calls, random }) => {
  const { weight } = calls;
  const [x, y0] = [integers(random, weight.cols), integers(random, weight.rows)];
  const typed = DTYPES.map((dtype) => {
    const values = encodeWeights(dtype, weight.values as Float32Array);
    return { dtype, calls: INITS.map((init) => new WeightCalls({ ...weight, dtype, values }, 1).multiplyToken(init, y0, x)) };
  });
  return { name, typed };
});

const gaussian = weightCases('gaussians').flatMap(({ name, calls, elements, random }) => {
  const { weight } = calls;
  const x = gaussians(random, weight.cols);
  const { row } = fullest(elements, weight.rows, weight.cols);
  return DTYPES.map((dtype) => {
    const values = encodeWeights(dtype, weight.values as Float32Array);
    const f32 = decodeWeights(dtype, values) as Float32Array<ArrayBuffer>;
    // The same token in the first lane of a tile.
    const tile = new Float32Array(weight.cols * 16).map((_, i) => (i % 16 === 0 ? x[i / 16]! : 0));
    return {
      name: `${name} ${dtype}`,
      one: new WeightCalls({ ...weight, dtype, values }, 1).multiplyToken('zero', new Float32Array(weight.rows), x),
      tiled: new WeightCalls(weight, 1).multiply('zero', new Float32Array(weight.rows * 16), tile, f32),
      rows: weight.rows,
      allowed: tolerance(row, largest(f32), largest(x)),
    };
  });
});

eachFlavour((flavour) => {
  describe('small integers give the oracle exactly, whoever owns which rows', () => {
    test.each(whole)('$name', ({ typed }) => {
      for (const { dtype, calls } of typed) for (const [i, call] of calls.entries()) expectExact(call, flavour, `${dtype} ${INITS[i]}`);
    });
  });

  test.each(gaussian)('$name: Gaussians stay within rounding of the oracle and of a tile', ({ name, one, tiled, rows, allowed }) => {
    expectWithin(one, flavour, allowed);
    expectSplitFree(one, flavour);
    const y = tiled.run(flavour).get('y')!;
    const lane = Float32Array.from({ length: rows }, (_, i) => y[i * 16]!);
    expectClose(name, one.run(flavour).get('y')!, lane, 2 * allowed);
  });
});
