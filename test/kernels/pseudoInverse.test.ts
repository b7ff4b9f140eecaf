import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { EPS, expectExact, expectSplitFree, expectWithin, largest, tolerance } from './claims.ts';
import { gaussians, integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const SHAPES = [
  { N: 53, rank: 4, ranks: 4 },
  { N: 76, rank: 12, ranks: 12 },
  { N: 300, rank: 16, ranks: 16 },
  { N: 41, rank: 8, ranks: 5 },
  // Fewer rows than ranks: only the damping makes the Gram matrix one that can be inverted.
  { N: 3, rank: 8, ranks: 8 },
] as const;

const cases = SHAPES.map((shape) => {
  const { N, rank, ranks } = shape;
  const random = new Random(N);
  const factor = gaussians(random, N * rank).map((value, i) => (i % rank < ranks ? value : 0));
  const [whole, square] = [integers(random, N * rank), integers(random, rank * rank)];
  const p = gaussians(random, rank * rank);
  const inverse = (damping: number, of = factor) =>
    new KernelCall('inverseGram', 1, { p: rank * rank, work: rank * rank, factor: of, N, rank, ranks, damping });
  return {
    ...shape,
    name: `${N} x ${rank}, ${ranks} of them ranks`,
    factor,
    inverse,
    exact: new KernelCall('timesSquare', N, { q: N * rank, factor: whole, p: square, rank }),
    rounded: new KernelCall('timesSquare', N, { q: N * rank, factor, p, rank }),
    allowed: tolerance(rank, largest(factor), largest(p)),
  };
});

/** S x, S = F' F + damping m I, in f64. */
function dampedGram(factor: Float32Array, rank: number, ranks: number, damping: number, x: (k: number) => number): Float64Array {
  const out = new Float64Array(rank);
  const mean = factor.reduce((s, f) => s + f * f, 0) / ranks;
  for (let row = 0; row < factor.length; row += rank) {
    let z = 0;
    for (let k = 0; k < rank; k++) z += factor[row + k]! * x(k);
    for (let k = 0; k < rank; k++) out[k]! += factor[row + k]! * z;
  }
  return out.map((v, k) => v + damping * mean * x(k));
}

eachFlavour((flavour) => {
  describe.each(cases)('inverseGram, $name', ({ factor, inverse, rank, ranks, N }) => {
    test.each([1, 0.1, 0.01])('damping %f: the oracle, which inverts by another way, but for the rounding to f32', (damping) => {
      const call = inverse(damping);
      const [p, work] = [call.oracle().get('p')!, call.oracle().get('work')!];
      // Both invert in f64, in some r^3 roundings of 2^-53, made larger by the condition: at most 1 + ranks / damping.
      const f64 = 2 ** -52 * (N + rank ** 3) * (1 + ranks / damping);
      expectWithin(call, flavour, { p: (EPS + f64) * largest(p), work: f64 * largest(work) });
    });

    test('P is the mean eigenvalue times the inverse: S P = m I, ranks that are padding included', () => {
      const damping = 0.1;
      const p = inverse(damping).run(flavour).get('p')!;
      const mean = factor.reduce((s, f) => s + f * f, 0) / ranks;
      for (let j = 0; j < rank; j++) {
        const column = dampedGram(factor, rank, ranks, damping, (k) => p[k * rank + j]!);
        // Each entry of P is rounded once; a row of S, whose entries are at most ranks m, sums them up.
        const allowed = 2 * EPS * rank * (ranks + damping) * mean * largest(p);
        column.forEach((value, i) => expect(Math.abs(value - (i === j ? mean : 0))).toBeLessThanOrEqual(allowed));
      }
    });

    test('a factor that is zero, as up is before the first step, goes through as it is', () => {
      const call = inverse(0.01, new Float32Array(N * rank));
      const p = call.run(flavour).get('p')!;
      expect(Array.from(p)).toEqual(Array.from({ length: rank * rank }, (_, i) => Number(i % (rank + 1) === 0)));
      expectExact(call, flavour);
    });

    test('scaling the factor changes nothing: learning rates mean what they did', () => {
      const once = inverse(0.01).run(flavour).get('p')!;
      const twice = inverse(
        0.01,
        factor.map((f) => f * 2),
      )
        .run(flavour)
        .get('p')!;
      // Powers of two scale every number on the way exactly.
      expect(Array.from(twice)).toEqual(Array.from(once));
    });

    test('only the worker that owns the one unit writes', () => {
      expect(
        inverse(0.01)
          .run(flavour, [[0, 0]])
          .get('p')!
          .every((value) => value === 12345),
      ).toBe(true);
    });
  });

  describe.each(cases)('timesSquare, $name', ({ exact, rounded, allowed }) => {
    test('small integers give the oracle exactly, whoever has which rows', () => expectExact(exact, flavour));
    test('Gaussians stay within the rounding of a sum, whoever has which rows', () => {
      expectWithin(rounded, flavour, allowed);
      expectSplitFree(rounded, flavour);
    });
  });
});
