/** Which blocks go: against the definition, written out. */
import { describe, expect, test } from 'vitest';
import { SMALLEST, decodeWeights, encodeWeights } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { withValues } from '../../src/models/fuse.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { pruneModel } from '../../src/prune/prune.ts';
import { magnitudeScores } from '../../src/prune/magnitude.ts';
import { selectKept } from '../../src/prune/select.ts';
import { parseSparsity } from '../../src/prune/sparsity.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { BLOCKS, BLOCK_NAMES } from '../../src/sparse/block.ts';
import { keepMaskOf, pack, unpack } from '../../src/sparse/pack.ts';
import { tinyModel } from '../gradients/tinyLlama.ts';
import { gaussians } from '../kernels/data.ts';

const SHAPES = [
  [16, 16],
  [53, 77],
  [3, 40],
] as const;

describe.each(BLOCK_NAMES)('%s', (block) => {
  const { rows: R, cols: C } = BLOCKS[block];

  test.each(SHAPES)('%i x %i: of each row of blocks the best share is kept whole, by the sum of squares', (rows, cols) => {
    const scores = magnitudeScores(gaussians(new Random(1), rows * cols));
    for (const share of [0.5, 0.7, 0.95]) {
      const keep = selectKept(scores, rows, cols, { kind: 'block', block, sparsity: share });
      const blocks = Math.ceil(cols / C);
      for (let first = 0; first < rows; first += R) {
        const [kept, pruned]: [number[], number[]] = [[], []];
        for (let c = 0; c < cols; c += C) {
          let sum = 0;
          let n = 0;
          let size = 0;
          for (let r = first; r < Math.min(first + R, rows); r++) {
            for (let i = c; i < Math.min(c + C, cols); i++, size++) {
              sum += scores[r * cols + i]! ** 2;
              n += keep[r * cols + i]!;
            }
          }
          expect([0, size]).toContain(n);
          (n ? kept : pruned).push(sum);
        }
        expect(Math.abs(kept.length - Math.max(1, blocks * (1 - share)))).toBeLessThanOrEqual(0.5 + 1e-9);
        expect(Math.min(...kept)).toBeGreaterThanOrEqual(Math.max(0, ...pruned));
      }
    }
  });

  test('ties go to the lower index', () => {
    const keep = selectKept(new Float64Array(R * C * 8).fill(1), R, C * 8, { kind: 'block', block, sparsity: 0.75 });
    for (let r = 0; r < R; r++)
      expect([...keep.subarray(r * C * 8, (r + 1) * C * 8)]).toEqual(Array.from({ length: C * 8 }, (_, i) => (i < C * 2 ? 1 : 0)));
  });
});

describe('a model', () => {
  const sessions = localSessions({ module: kernelModule('plain').module });
  const prune = (model: LlamaModel): Promise<LlamaModel> =>
    pruneModel(model, { method: 'magnitude', sparsity: parseSparsity('4x1:50%'), calibration: [], sessions });
  const name = 'model.layers.0.mlp.up_proj';

  test.each(['F32', 'F16', 'BF16'] as const)(
    'a zero that a dense %s matrix happens to hold breaks no block: it is kept, tiny',
    async (dtype) => {
      const dense = tinyModel('dense');
      const { rows, cols } = dense.linears.get(name)!;
      const matrix = gaussians(new Random(1), rows * cols);
      // Its block is kept for the other three.
      for (let r = 0; r < 4; r++) matrix[r * cols + 5] = r === 3 ? 0 : 9;
      const weight = pack(dtype, encodeWeights(dtype, matrix), rows, cols);
      const pruned = (await prune(withValues(dense, { linears: new Map([[name, weight]]) }))).linears.get(name)!;
      expect(pruned).toMatchObject({ format: 'block', pattern: '4x1', kept: (rows * cols) / 2 });
      expect(decodeWeights(dtype, unpack(pruned, pruned.values))[3 * cols + 5]).toBe(SMALLEST[dtype]);
    },
  );

  test('what was pruned before stays zero, in blocks that are kept too', async () => {
    const sparse = tinyModel('2:4');
    const pruned = await prune(sparse);
    for (const [key, before] of sparse.linears) {
      const [was, is] = [keepMaskOf(before), keepMaskOf(pruned.linears.get(key)!)];
      is.forEach((kept, i) => expect(kept).toBeLessThanOrEqual(was[i]!));
    }
  });
});
