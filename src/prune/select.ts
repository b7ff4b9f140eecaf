/** From scores to masks: the highest scores of each comparison group are kept; ties go to the lower index. */
import { explain } from '../core/errors.ts';
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
  } else {
    const kept = Math.max(1, roundHalfEven(cols * (1 - sparsity.sparsity)));
    for (let at = 0; at < keep.length; at += cols) keepHighest(scores, keep, at, cols, kept);
  }
  return keep;
}

function keepHighest(scores: Float64Array, keep: Uint8Array, at: number, length: number, n: number): void {
  const order = Array.from({ length }, (_, i) => at + i).sort((a, b) => scores[b]! - scores[a]! || a - b);
  for (let i = 0; i < n; i++) keep[order[i]!] = 1;
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
