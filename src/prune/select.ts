/**
 * From scores to masks: the highest scores of each comparison group are kept; ties go to the lower index.
 *
 * A block's score is the sum of the squares of its weights' scores, and blocks are compared with those beside them, of the
 * same outputs. For magnitude that is what pruning the block costs of ||W||^2 (Frobenius), the L2 norm of block-sparse
 * pruning (Gray et al. 2017, GPU Kernels for Block-Sparse Weights); for Wanda, sum of W_ij^2 ||X_j||^2, what it costs of the
 * layer's output, inputs taken as uncorrelated. Comparing per output, not over the matrix, is Wanda's choice (section 4.1);
 * SparseGPT compares over all outputs, within the columns that it has at hand.
 */
import { explain } from '../core/errors.ts';
import { BLOCKS } from '../sparse/block.ts';
import type { BlockName } from '../sparse/block.ts';
import type { Sparsity } from './sparsity.ts';

/**
 * A mask [rows, cols], 1 = kept, of scores [rows, cols]. A share is that of each row (of blocks), or of the whole matrix.
 */
export function selectKept(
  scores: Float64Array,
  rows: number,
  cols: number,
  sparsity: Sparsity,
  within: 'row' | 'matrix' = 'row',
): Uint8Array {
  const keep = new Uint8Array(rows * cols);
  if (sparsity.kind === 'n:m') {
    for (let at = 0; at < keep.length; at += sparsity.group) keepHighest(scores, keep, at, sparsity.group, sparsity.keep);
  } else if (sparsity.kind === 'block') {
    keepBlocks(scores, keep, rows, cols, sparsity.block, sparsity.sparsity, within);
  } else {
    const length = within === 'row' ? cols : keep.length;
    for (let at = 0; at < keep.length; at += length) keepHighest(scores, keep, at, length, keptOf(length, sparsity.sparsity));
  }
  return keep;
}

/** Throws RangeError where an N:M group does not divide a layer's inputs. `name` is for the message. */
export function checkGroups(cols: number, sparsity: Sparsity, name: string): void {
  if (sparsity.kind !== 'n:m' || cols % sparsity.group === 0) return;
  const { keep: n, group } = sparsity;
  const expected = `a multiple of ${group}, the group of ${n}:${group}`;
  throw new RangeError(explain(`${name}: inputs`, expected, `${cols}`, 'Choose a smaller group, or a share such as 0.5.'));
}

/** Keeps the n highest of the scores [at, at + length). */
export function keepHighest(scores: Float64Array, keep: Uint8Array, at: number, length: number, n: number): void {
  const least = scores.slice(at, at + length).sort()[length - n]!;
  let room = n;
  for (let i = at; i < at + length; i++) {
    if (!(scores[i]! > least)) continue;
    keep[i] = 1;
    room--;
  }
  for (let i = at; room > 0; i++) {
    if (scores[i] !== least) continue;
    keep[i] = 1;
    room--;
  }
}

/** How many of n are kept. */
function keptOf(n: number, sparsity: number): number {
  return Math.max(1, roundHalfEven(n * (1 - sparsity)));
}

/** Keeps the blocks that score highest. Blocks at the edge are cut off by it. */
function keepBlocks(
  scores: Float64Array,
  keep: Uint8Array,
  rows: number,
  cols: number,
  block: BlockName,
  sparsity: number,
  within: 'row' | 'matrix',
): void {
  const { rows: R, cols: C } = BLOCKS[block];
  const across = Math.ceil(cols / C);
  const blocks = Math.ceil(rows / R) * across;
  const blockOf = (r: number, c: number): number => Math.floor(r / R) * across + Math.floor(c / C);
  const sums = new Float64Array(blocks);
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++, i++) sums[blockOf(r, c)]! += scores[i]! ** 2;
  const kept = new Uint8Array(blocks);
  const length = within === 'row' ? across : blocks;
  for (let at = 0; at < blocks; at += length) keepHighest(sums, kept, at, length, keptOf(length, sparsity));
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < cols; c++, i++) keep[i] = kept[blockOf(r, c)]!;
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
