import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { blockCount } from '../../src/sparse/csr.ts';
import { pack, unpack } from '../../src/sparse/pack.ts';
import type { CsrWeight } from '../../src/sparse/weight.ts';
import { expectExact, sameBits } from './claims.ts';
import { MASKS, gaussians } from './data.ts';
import { eachFlavour } from './harness.ts';
import { WeightCalls } from './weightCalls.ts';

/** One weight; one row; one input; one block, one more either way, and blocks cut short by both edges. */
const SHAPES = [
  [1, 1],
  [1, 300],
  [300, 1],
  [256, 256],
  [257, 257],
  [513, 260],
  [21, 530],
] as const;

const cases = Object.entries({ ...MASKS, 'nothing kept': (_: Random, rows: number, cols: number) => new Uint8Array(rows * cols) }).flatMap(
  ([name, mask]) =>
    SHAPES.map(([rows, cols]) => {
      const random = new Random(rows + cols);
      const weight = pack('F32', gaussians(random, rows * cols), rows, cols, {
        keep: mask(random, rows, cols),
        format: 'csr',
      }) as CsrWeight;
      return {
        name: `${name} ${rows}x${cols}`,
        weight,
        call: new WeightCalls(weight, 1).transpose(weight.values as Float32Array<ArrayBuffer>),
      };
    }),
);

eachFlavour((flavour) => {
  describe('transposing', () => {
    test.each(cases)("$name: gives the oracle's bits, whoever sorts which block", ({ call }) => {
      expectExact(call, flavour);
    });

    test.each(cases)("$name: lists each input's weights by row, as the columns of W have them", ({ weight, call }) => {
      const { rows, cols } = weight;
      const got = call.run(flavour);
      const [wT, colPtr, indexT] = ['wT', 'colPtr', 'indexT'].map((name) => got.get(name)!) as [Float32Array, Uint32Array, Uint8Array];
      const [rowBlocks, width] = [blockCount(rows, 1), blockCount(1, cols)];
      const again = new Float32Array(rows * cols);
      let ascending = true;
      for (let j = 0; j < cols; j++) {
        for (let r = 0; r < rowBlocks; r++) {
          const at = (r * width + Math.floor(j / 256)) * 257 + (j % 256);
          for (let n = colPtr[at]!; n < colPtr[at + 1]!; n++) {
            ascending &&= n === colPtr[at]! || indexT[n]! > indexT[n - 1]!;
            again[(r * 256 + indexT[n]!) * cols + j] = wT[n]!;
          }
        }
      }
      expect(ascending).toBe(true);
      expect(sameBits(again, unpack(weight, weight.values))).toBe(true);
    });
  });
});
