import { describe, test } from 'vitest';
import { encodeWeights } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { DTYPE_CODE } from '../../src/kernels/table.ts';
import { packDense } from '../../src/sparse/pack.ts';
import { attentionTolerances, tensors } from './attentionCases.ts';
import { EPS, expectExact, expectSplitFree, expectWithin, largest } from './claims.ts';
import { gaussians, integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const random = new Random(4);
const [V, K] = [37, 13];

const embeds = (['F32', 'F16', 'BF16'] as const).flatMap((dtype) =>
  [0, 6, V - 1].map((id) => {
    const table = packDense(dtype, encodeWeights(dtype, gaussians(random, V * K)), V, K);
    const args = { x: K, table: table.values, dtype: DTYPE_CODE[dtype], ids: Uint32Array.of(id), K };
    return { dtype, id, call: new KernelCall('embedToken', K, args) };
  }),
);

const norms = [1, 4, 13, 64].map((n) => ({ n, x: gaussians(random, n), gain: gaussians(random, n) }));

const shapes = [
  { heads: 1, kvHeads: 1, D: 2 },
  { heads: 4, kvHeads: 2, D: 8 },
  { heads: 6, kvHeads: 1, D: 6 },
  { heads: 3, kvHeads: 3, D: 16 },
];
/** One key; one that is a tile's last; the first of a tile; several tiles. */
const attentions = shapes.flatMap((shape, i) =>
  [0, 15, 16, 61].map((slot) => {
    const { heads, kvHeads, D } = shape;
    const { k, v } = tensors(10 * i + slot, 1, shape, 4);
    const q = gaussians(random, heads * D);
    const inputs = { q, k, v, last: Uint32Array.of(slot), heads, kvHeads, D, scaling: Math.fround(D ** -0.5) };
    return {
      name: `${heads}/${kvHeads} heads of ${D}, ${slot + 1} keys`,
      call: new KernelCall('attentionToken', heads, { o: q.length, ...inputs }),
      allowed: attentionTolerances(shape, slot + 1, { q, k, v, dO: q }).o,
    };
  }),
);

/** Rows that end in the midst of a panel; inputs that end in the midst of a vector, of a turn of the loop, and of a turn of the scratch. */
const gemvs = (['F16', 'BF16'] as const).flatMap((dtype) =>
  [
    [1, 1],
    [6, 3],
    [7, 9],
    [5, 30],
    [4, 30720 + 5],
  ].map(([M, K]) => {
    // Products of at most 9: their sums are exact in any order.
    const table = packDense(dtype, encodeWeights(dtype, integers(random, M! * K!)), M!, K!);
    return { dtype, M: M!, K: K!, values: table.values, x: integers(random, K!) };
  }),
);

eachFlavour((flavour) => {
  test.each(gemvs)('gemv $dtype: $M x $K, from zeros, another or itself', ({ dtype, M, K, values, x }) => {
    const args = { x, values, dtype: DTYPE_CODE[dtype], M, K };
    for (const [y, init] of [[M, 0] as const, [M, integers(random, M)] as const, ['init', integers(random, M)] as const]) {
      const call = new KernelCall('gemv', Math.ceil(M / 4), { y, init, ...args });
      expectExact(call, flavour);
      expectSplitFree(call, flavour);
    }
  });

  test.each([-30, 0, 24, 60])('gemv F16: subnormal weights count, with inputs of 2^%i', (exponent) => {
    // k 2^-24 for k < 1024, of either sign: the sums are whole multiples of 2^(exponent - 24), exact in f32.
    const bits = Uint16Array.from({ length: 8 * 21 }, (_, i) => ((i * 389) & 0x3ff) | (i % 3 ? 0 : 0x8000));
    const { values } = packDense('F16', bits, 8, 21);
    const x = integers(random, 21).map((n) => n * 2 ** exponent);
    expectExact(new KernelCall('gemv', 2, { y: 8, init: 0, x, values, dtype: DTYPE_CODE.F16, M: 8, K: 21 }), flavour);
  });

  test.each(embeds)('embedToken $dtype: row $id of its panel', ({ call }) => expectExact(call, flavour));

  test.each(norms)('rmsNormToken: $n features', ({ n, x, gain }) => {
    const call = new KernelCall('rmsNormToken', 1, { y: n, x, gain, K: n, eps: 1e-5 });
    expectWithin(call, flavour, EPS * (n + 8) * largest(gain) * Math.sqrt(n));
  });

  describe('ropeToken', () => {
    const [heads, half] = [3, 5];
    const x = integers(random, heads * 2 * half);
    const tables = { cosTable: integers(random, 21 * half), sinTable: integers(random, 21 * half) };

    test.each([0, 20])('turns each head by position %i, in place or not', (position) => {
      const positions = Uint32Array.of(position);
      expectExact(new KernelCall('ropeToken', heads, { y: x.length, x, ...tables, positions, half }), flavour);
      expectExact(new KernelCall('ropeToken', heads, { y: 'x', x, ...tables, positions, half }), flavour);
    });
  });

  test.each([0, 15, 16, 40])('storeToken: slot %i, and the cache keeps the rest', (slot) => {
    const args = { cache: integers(random, 3 * K * 16), x: integers(random, K), slots: Uint32Array.of(slot), K };
    expectExact(new KernelCall('storeToken', K, args), flavour);
  });

  test.each(attentions)('attentionToken: $name', ({ call, allowed }) => {
    expectWithin(call, flavour, allowed);
    expectSplitFree(call, flavour);
  });
});
