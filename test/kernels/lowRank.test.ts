import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { expectExact, expectWithin, largest, tolerance } from './claims.ts';
import { gaussians, integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const SHAPES = [
  [53, 4, 5],
  [1, 8, 1],
  [76, 12, 3],
  [300, 16, 4],
] as const;

type Make = (random: Random, length: number) => Float32Array<ArrayBuffer>;

function calls(make: Make, [N, rank, tiles]: (typeof SHAPES)[number]) {
  const random = new Random(N);
  const factor = make(random, N * rank);
  const [x, y] = [make(random, tiles * N * 16), make(random, tiles * N * 16)];
  const z = make(random, tiles * rank * 16);
  const [wide, narrow, weight] = [largest(x), largest(z), largest(factor)];
  return {
    name: `${N} x ${rank}, ${tiles} tiles`,
    factor,
    x,
    z,
    project: new KernelCall('project', tiles, { z: z.length, x, factor, N, rank, scaling: 0.5 }),
    projectAllowed: tolerance(N, 0.5 * weight, wide),
    gate: new KernelCall('gateRanks', N, { gated: factor.length, factor, gate: make(random, rank), rank }),
    expand: new KernelCall('expand', tiles, { y, z, factor, N, rank }),
    expandFromZero: new KernelCall('expand', tiles, { y: new Float32Array(y.length), z, factor, N, rank }),
    expandAllowed: tolerance(rank, weight, narrow),
    grad: new KernelCall('factorGrad', N, { dFactor: make(random, factor.length), dy: y, z, N, rank, scaling: 2, tiles }),
    gradFromZero: new KernelCall('factorGrad', N, { dFactor: new Float32Array(factor.length), dy: y, z, N, rank, scaling: 2, tiles }),
    gradAllowed: tolerance(tiles * 16, 2 * largest(y), narrow),
  };
}

const whole = SHAPES.map((shape) => calls(integers, shape));
const rounded = SHAPES.map((shape) => calls(gaussians, shape));

eachFlavour((flavour) => {
  describe.each(whole)('small integers, $name', (c) => {
    test('project writes every rank of every token, scaled once', () => expectExact(c.project, flavour));
    test('expand adds to what is there', () => expectExact(c.expand, flavour));
    test('factorGrad adds over all tiles to what is there', () => expectExact(c.grad, flavour));

    test('gateRanks takes each rank by its own gate, in every row', () => expectExact(c.gate, flavour));

    test("<factor' x, z> = <x, factor z>: project and expand are each other's transpose", () => {
      const projected = c.project.run(flavour).get('z')!;
      const expanded = c.expandFromZero.run(flavour).get('y')!;
      const dot = (a: Float32Array, b: ArrayLike<number>): number => a.reduce((s, v, i) => s + v * b[i]!, 0);
      expect(2 * dot(c.z, projected)).toBe(dot(c.x, expanded));
    });
  });

  test.each(rounded)('Gaussians, $name: stay within the rounding of a sum', (c) => {
    expectWithin(c.project, flavour, c.projectAllowed);
    expectWithin(c.expandFromZero, flavour, c.expandAllowed);
    expectWithin(c.gradFromZero, flavour, c.gradAllowed);
  });
});
