import { describe, expect, test } from 'vitest';
import { TILE } from '../../src/kernels/table.ts';
import { expectExact, expectWithin, largest, tolerance } from './claims.ts';
import { fullest, gaussians, integers } from './data.ts';
import { eachFlavour } from './harness.ts';
import { INITS } from './weightCalls.ts';
import { weightCases } from './weightCases.ts';

const RANK = 8;

const sampled = weightCases('integers').map(({ name, calls, random }) => {
  const [dy, x] = [integers(random, calls.floats('out')), integers(random, calls.floats('in'))];
  const h0 = integers(random, calls.weight.values.length);
  return { name, calls: INITS.map((init) => calls.sample(init, h0, dy, x)) };
});

const factored = weightCases('integers').map(({ name, calls, random }) => {
  const { rows, cols, values } = calls.weight;
  const h = calls.likeValues(integers(random, values.length));
  const [up, downT] = [integers(random, rows * RANK), integers(random, cols * RANK)];
  const [dUp, dDownT] = [integers(random, up.length), integers(random, downT.length)];
  const zero = { up: new Float32Array(up.length), downT: new Float32Array(downT.length) };
  return {
    name,
    up,
    downT,
    upGradient: calls.upGradient(dUp, h, downT, RANK, 0.5),
    downGradient: calls.downGradient(dDownT, h, up, RANK, 0.5),
    fromZero: { up: calls.upGradient(zero.up, h, downT, RANK, 0.5), down: calls.downGradient(zero.downT, h, up, RANK, 0.5) },
  };
});

const rounded = weightCases('gaussians')
  .filter(({ name }) => !name.includes('61x77'))
  .map(({ name, calls, elements, random }) => {
    const { rows, cols, values } = calls.weight;
    const [dy, x] = [gaussians(random, calls.floats('out')), gaussians(random, calls.floats('in'))];
    const h = calls.likeValues(gaussians(random, values.length));
    const [up, downT] = [gaussians(random, rows * RANK), gaussians(random, cols * RANK)];
    const { row, column } = fullest(elements, rows, cols);
    return {
      name,
      sums: [
        { call: calls.sample('zero', h, dy, x), allowed: tolerance(calls.tiles * TILE, largest(dy), largest(x)) },
        { call: calls.upGradient(new Float32Array(up.length), h, downT, RANK, 2), allowed: tolerance(row, 2 * largest(h), largest(downT)) },
        {
          call: calls.downGradient(new Float32Array(downT.length), h, up, RANK, 2),
          allowed: tolerance(column, 2 * largest(h), largest(up)),
        },
      ],
    };
  });

eachFlavour((flavour) => {
  describe('small integers give the oracle exactly, whoever sums what', () => {
    test.each(sampled)('$name: H samples each kept position once, over every token, from its init', ({ calls }) => {
      for (const [i, call] of calls.entries()) expectExact(call, flavour, INITS[i]);
    });

    test.each(factored)('$name: dUp adds to what is there, each rank by one worker', ({ upGradient }) => {
      expectExact(upGradient, flavour);
    });

    test.each(factored)('$name: dDown adds to what is there, no input by two workers', ({ downGradient }) => {
      expectExact(downGradient, flavour);
    });

    test.each(factored)('$name: <dUp, up> = <dDown, down>: both are slopes of <H, s up down>', ({ fromZero, up, downT }) => {
      const [dUp, dDownT] = [fromZero.up.run(flavour).get('dUp')!, fromZero.down.run(flavour).get('dDownT')!];
      const dot = (a: ArrayLike<number>, b: Float32Array): number => b.reduce((s, v, i) => s + v * a[i]!, 0);
      expect(dot(dUp, up)).toBe(dot(dDownT, downT));
    });
  });

  test.each(rounded)('$name: Gaussians stay within the rounding of a sum', ({ sums }) => {
    for (const { call, allowed } of sums) expectWithin(call, flavour, allowed);
  });
});
