import { describe, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { expectExact } from './claims.ts';
import { integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';
import { denseUnits } from './weightCalls.ts';

/** A band of `M` rows of tiles that have `features`: what the head does with a table it unpacks piece by piece. */
const SHAPES = [
  { features: 9, M: 6, K: 5, tiles: 3 },
  { features: 24, M: 8, K: 13, tiles: 2 },
  { features: 530, M: 515, K: 7, tiles: 2 },
  { features: 12, M: 5, K: 1030, tiles: 2 },
  // What ends in the first turn of a tile, after one, two or three.
  { features: 4, M: 3, K: 1, tiles: 2 },
  { features: 3, M: 3, K: 2, tiles: 2 },
  { features: 5, M: 5, K: 3, tiles: 2 },
  { features: 1, M: 1, K: 3, tiles: 2 },
  // More tiles than two bands of units have.
  { features: 30, M: 26, K: 29, tiles: 67 },
];

const bands = SHAPES.map(({ features, M, K, tiles }) => {
  const random = new Random(M);
  const panels = Math.ceil(M / 4);
  // Rows that pad the last panel hold what must not reach a result.
  const w = integers(random, panels * K * 4);
  const [x, y] = [integers(random, tiles * K * 16), integers(random, tiles * features * 16)];
  const dw = integers(random, panels * K * 4);
  return {
    name: `${M} of ${features} rows x ${K}`,
    gemm: (['0', 'y'] as const).map(
      (init) => new KernelCall('gemm', denseUnits(M, tiles), { y, init: init === '0' ? 0 : init, x, w, features, M, K, tiles }),
    ),
    gemmT: new KernelCall('gemmT', denseUnits(K, tiles), { dx: x.length, init: x, dy: y, w, features, M, K, tiles }),
    sddmm: new KernelCall('sddmmDense', panels, { dw, init: 'dw', dy: y, x, features, M, K, tiles }),
    fewer: new KernelCall('sddmmDense', panels, { dw: dw.length, init: 0, dy: y, x, features, M, K, tiles: tiles - 1 }),
    merge: new KernelCall('mergeDense', panels, {
      merged: w.length,
      values: w,
      dtype: 0,
      up: integers(random, M * 4),
      downT: integers(random, K * 4),
      rank: 4,
      scaling: 2,
      M,
      K,
    }),
  };
});

eachFlavour((flavour) => {
  describe.each(bands)('a band, $name', ({ gemm, gemmT, sddmm, fewer, merge }) => {
    test('gemm leaves the rows outside the band as they are', () => {
      for (const call of gemm) expectExact(call, flavour);
    });

    test('gemmT reads the band only, not the padding of its last panel', () => {
      expectExact(gemmT, flavour);
    });

    test('sddmm strides by the whole tile, and leaves zeros in the padding', () => {
      expectExact(sddmm, flavour);
    });

    test('sddmm sums no tile beyond the ones that there are', () => {
      expectExact(fewer, flavour);
    });

    test('merge reads no factor row beyond the last', () => {
      expectExact(merge, flavour);
    });
  });
});
