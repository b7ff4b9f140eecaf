/**
 * From scores to masks: the highest scores of each comparison group are kept; ties go to the lower index.
 *
 * A block's score is the sum of the squares of its weights' scores, and blocks are compared with those beside them, of the
 * same outputs. For magnitude that is what pruning the block costs of ||W||^2 (Frobenius), the L2 norm of block-sparse
 * pruning (Gray et al. 2017, GPU Kernels for Block-Sparse Weights); for Wanda, sum of W_ij^2 ||X_j||^2, what it costs of the
 * layer's output, inputs taken as uncorrelated. Comparing per output, not over the matrix, is Wanda's choice (section 4.1).
 */
import { explain } from '../core/errors.ts';
import { BLOCKS } from '../sparse/block.ts';
import type { BlockName } from '../sparse/block.ts';
import type { Sparsity } from './sparsity.ts';

/** A mask [rows, cols], 1 = kept, of scores [rows, cols]. `name` is for messages. Throws RangeError. */
export function selectKept(scores: Float64Array, rows: number, cols: number, sparsity: Sparsity, name: string): Uint8Array {
  const keep = new Uint8Array(rows * cols);
  if (sparsity.kind === 'n:m') {
    const { keep: n, group } = sparsity;
    if (cols % group) {
      throw new RangeError(
        explain(
          `${name}: inputs`,
          `a multiple of ${group}, the group of ${n}:${group}`,
          `${cols}`,
          'Choose a smaller group, or a share such as 0.5.',
        ),
      );
    }
    for (let at = 0; at < keep.length; at += group) keepHighest(scores, keep, at, group, n);
  } else if (sparsity.kind === 'block') {
    keepBlocks(scores, keep, rows, cols, sparsity.block, sparsity.sparsity);
  } else {
    for (let at = 0; at < keep.length; at += cols) keepHighest(scores, keep, at, cols, keptOf(cols, sparsity.sparsity));
  }
  return keep;
}

function keepHighest(scores: Float64Array, keep: Uint8Array, at: number, length: number, n: number): void {
  const order = Array.from({ length }, (_, i) => at + i).sort((a, b) => scores[b]! - scores[a]! || a - b);
  for (let i = 0; i < n; i++) keep[order[i]!] = 1;
}

/** How many of n are kept. */
function keptOf(n: number, sparsity: number): number {
  return Math.max(1, roundHalfEven(n * (1 - sparsity)));
}

/** Keeps the blocks that score highest of each row of blocks. Blocks at the edge are cut off by it. */
function keepBlocks(scores: Float64Array, keep: Uint8Array, rows: number, cols: number, block: BlockName, sparsity: number): void {
  const { rows: R, cols: C } = BLOCKS[block];
  const blocks = Math.ceil(cols / C);
  for (let first = 0; first < rows; first += R) {
    const last = Math.min(first + R, rows);
    const sums = new Float64Array(blocks);
    for (let r = first; r < last; r++) for (let c = 0; c < cols; c++) sums[Math.floor(c / C)]! += scores[r * cols + c]! ** 2;
    const kept = new Uint8Array(blocks);
    keepHighest(sums, kept, 0, blocks, keptOf(blocks, sparsity));
    for (let r = first; r < last; r++) for (let c = 0; c < cols; c++) keep[r * cols + c] = kept[Math.floor(c / C)]!;
  }
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
