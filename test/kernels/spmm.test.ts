import { describe, expect, test } from 'vitest';
import { blockMask, fullest, gaussians, integers, masked } from './data.ts';
import { expectExact, expectOwned, expectSplitFree, expectWithin, largest, tolerance } from './claims.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import { eachFlavour } from './harness.ts';
import { Random } from '../../src/core/random.ts';
import { BLOCK_NAMES } from '../../src/sparse/block.ts';
import { pack } from '../../src/sparse/pack.ts';
import { indexBytes, keepsPairs } from '../../src/sparse/weight.ts';
import { SCRATCH_BYTES } from '../../src/kernels/table.ts';
import { INITS, WeightCalls } from './weightCalls.ts';
import { weightCases } from './weightCases.ts';

const whole = weightCases('integers').map((c) => {
  const { calls, random } = c;
  const values = calls.weight.values as Float32Array<ArrayBuffer>;
  const [x, dy] = [integers(random, calls.floats('in')), integers(random, calls.floats('out'))];
  const [y0, dx0] = [integers(random, dy.length), integers(random, x.length)];
  return {
    ...c,
    x,
    dy,
    forward: INITS.map((init) => calls.multiply(init, y0, x, values)),
    backward: INITS.map((init) => calls.multiplyT(init, dx0, dy, values)),
  };
});

const gaussian = weightCases('gaussians').map(({ name, calls, elements, random }) => {
  const values = calls.weight.values as Float32Array<ArrayBuffer>;
  const [x, dy] = [gaussians(random, calls.floats('in')), gaussians(random, calls.floats('out'))];
  const { row, column } = fullest(elements, calls.weight.rows, calls.weight.cols);
  return {
    name,
    forward: calls.multiply('zero', dy, x, values),
    forwardAllowed: tolerance(row, largest(values), largest(x)),
    backward: calls.multiplyT('zero', x, dy, values),
    backwardAllowed: tolerance(column, largest(values), largest(dy)),
  };
});

eachFlavour((flavour) => {
  describe('small integers give the oracle exactly, whoever sums what', () => {
    test.each(whole)('$name: W x misses no value, meets none twice, crosses no block or share, honours init', ({ forward }) => {
      for (const [i, call] of forward.entries()) expectExact(call, flavour, INITS[i]);
    });

    test.each(whole)("$name: W' dy adds to the right inputs and no others", ({ backward }) => {
      for (const [i, call] of backward.entries()) expectExact(call, flavour, INITS[i]);
    });
  });

  // 300 inputs are 75 groups: a whole chunk and one that ends after three.
  test.each([1, 0])('quads of 2:4, told so (%i) or not: a whole band of 16 tiles, a second, and one that ends after three', (pairs) => {
    const [rows, cols, tiles] = [20, 300, 35];
    const random = new Random(7);
    const elements = twoOfFour(random, rows * cols);
    const weight = pack('F32', elements, rows, cols, { format: 'quad' });
    expect(keepsPairs(weight)).toBe(true);
    expectProducts(new WeightCalls(weight, tiles, pairs), random, flavour);
  });

  test('quads: lists of a chunk stand at the start of the scratch, though all of the index would not fit it', () => {
    const random = new Random(3);
    const elements = twoOfFour(random, 512 * 1024);
    const weight = pack('F32', elements, 512, 1024, { format: 'quad' });
    expect(indexBytes(weight) * 2).toBeGreaterThan(SCRATCH_BYTES);
    const calls = new WeightCalls(weight, 1);
    const [x, y] = [integers(random, calls.floats('in')), integers(random, calls.floats('out'))];
    expectExact(calls.multiply('other', y, x, weight.values as Float32Array<ArrayBuffer>), flavour);
  });

  // 1300 inputs are five chunks, of two and of three; 1100 features are a strip of 1024 and a short one. One tile is alone in its band.
  test.each([
    ['quad', 12, 1300, 17],
    ['quad', 600, 12, 18],
    ['csr', 12, 1100, 5],
    ['csr', 1100, 12, 4],
  ] as const)('%s of %i x %i, %i tiles: several strips of the output, shared out in any way', (format, rows, cols, tiles) => {
    const random = new Random(rows);
    const elements = integers(random, rows * cols).map((v, i) => (random.uniform() < 0.4 ? v || i % 3 : 0));
    expectProducts(new WeightCalls(pack('F32', elements, rows, cols, { format }), tiles), random, flavour);
  });

  // 1300 features are two parts of 512, of two segments or one each, and a short one. One tile is alone in its band, or two are.
  test.each(BLOCK_NAMES.flatMap((block) => [[block, 13, 1300, 17] as const, [block, 1300, 13, 18] as const]))(
    'blocks of %s in %i x %i, %i tiles: several parts of the output, shared out in any way',
    (block, rows, cols, tiles) => {
      const random = new Random(rows);
      const keep = blockMask(random, rows, cols, block, 0.6);
      const elements = masked(integers(random, rows * cols), keep);
      expectProducts(new WeightCalls(pack('F32', elements, rows, cols, { keep, format: 'block', block }), tiles), random, flavour);
    },
  );

  test.each(whole)("$name: <W x, y> = <x, W' y>: both directions read the same matrix", ({ forward, backward, x, dy }) => {
    const y = forward[0]!.run(flavour).get('y')!;
    const dx = backward[0]!.run(flavour).get('dx')!;
    expect(dot(y, dy)).toBe(dot(x, dx));
    expect(dot(y, dy)).not.toBe(0);
  });

  test.each(gaussian)(
    '$name: Gaussians stay within the rounding of a sum, the same for every share',
    ({ forward, backward, forwardAllowed, backwardAllowed }) => {
      expectWithin(forward, flavour, forwardAllowed);
      expectWithin(backward, flavour, backwardAllowed);
      expectSplitFree(forward, flavour);
      expectSplitFree(backward, flavour);
    },
  );
});

/** Claims both products of a weight of integers exactly: by all of its units, shared out in any way, and by some of them. */
function expectProducts(calls: WeightCalls, random: Random, flavour: Flavour): void {
  const values = calls.weight.values as Float32Array<ArrayBuffer>;
  const [x, dy] = [integers(random, calls.floats('in')), integers(random, calls.floats('out'))];
  for (const init of INITS) {
    expectExact(calls.multiply(init, dy, x, values), flavour, init);
    expectExact(calls.multiplyT(init, x, dy, values), flavour, init);
  }
  expectOwned(calls.multiply('other', dy, x, values), flavour);
  expectOwned(calls.multiplyT('other', x, dy, values), flavour);
}

/** Integers of which two of every four are kept, others in each row. */
function twoOfFour(random: Random, n: number): Float32Array<ArrayBuffer> {
  return integers(random, n).map((v, i) => ((i + Math.floor(i / 4)) % 4 < 2 ? v || 1 : 0));
}

/** Exact for small integers. */
function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let s = 0;
  for (let i = 0; i < a.length; i++) s += a[i]! * b[i]!;
  return s;
}
