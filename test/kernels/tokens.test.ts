import { describe, test } from 'vitest';
import { encodeWeights } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { DTYPE_CODE } from '../../src/kernels/table.ts';
import { packDense } from '../../src/sparse/pack.ts';
import { expectExact } from './claims.ts';
import { gaussians, integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const NONE = 0xffffffff;
const [V, K, TILES] = [37, 13, 4];
const random = new Random(3);
const slots = (make: (i: number) => number): Uint32Array => Uint32Array.from({ length: TILES * 16 }, (_, i) => make(i));

/** Ids that share panels, repeat, and reach the last row, whose panel is padded. */
const ids = slots((i) => (i % 5 === 0 ? V - 1 : random.below(V)));

const embeds = (['F32', 'F16', 'BF16'] as const).map((dtype) => {
  const table = packDense(dtype, encodeWeights(dtype, gaussians(random, V * K)), V, K);
  return {
    dtype,
    call: new KernelCall('embed', TILES, { x: TILES * K * 16, table: table.values, dtype: DTYPE_CODE[dtype], ids, K }),
  };
});

const x = integers(random, TILES * K * 16);
const order = random.permutation(TILES * 16);

eachFlavour((flavour) => {
  test.each(embeds)('embed $dtype: each token gets its own row, in its own lane', ({ call }) => expectExact(call, flavour));

  test('embedGrad: a token that comes twice counts twice, and padding tokens not at all', () => {
    const dTable = integers(random, Math.ceil(V / 4) * 4 * K);
    expectExact(new KernelCall('embedGrad', K, { dTable, dx: x, ids, K, tokens: TILES * 16 - 9 }), flavour);
  });

  test('gatherTokens: NONE gives zeros, and lanes are not those of the source', () => {
    const from = slots((i) => (i % 7 === 0 ? NONE : order[i]!));
    expectExact(new KernelCall('gatherTokens', TILES, { y: x.length, x, slots: from, K }), flavour);
  });

  test('storeTokens: a cache keeps what no token replaces', () => {
    const cache = integers(random, (TILES + 2) * K * 16);
    const to = slots((i) => (i % 7 === 0 ? NONE : order[i]! + 32));
    expectExact(new KernelCall('storeTokens', TILES, { cache, x, slots: to, K }), flavour);
  });

  describe('rope', () => {
    const [heads, half] = [3, 5];
    const q = integers(random, TILES * heads * 2 * half * 16);
    const [cos, sin] = [integers(random, TILES * half * 16), integers(random, TILES * half * 16)];

    test.each([1, -1])('turns each head by its token, sign %i, in place or not', (sign) => {
      expectExact(new KernelCall('rope', TILES, { y: q.length, x: q, cos, sin, heads, half, sign }), flavour);
      expectExact(new KernelCall('rope', TILES, { y: 'x', x: q, cos, sin, heads, half, sign }), flavour);
    });

    test('ropeAngles takes the row of each position', () => {
      const tables = { cosTable: integers(random, 21 * half), sinTable: integers(random, 21 * half) };
      const positions = slots((i) => (i * 8) % 21);
      expectExact(new KernelCall('ropeAngles', TILES, { cos: cos.length, sin: sin.length, ...tables, positions, half }), flavour);
    });
  });
});
