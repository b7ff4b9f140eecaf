/** How much to prune, and in which pattern. */
import { explain } from '../core/errors.ts';
import type { BlockName } from '../sparse/block.ts';
import { BLOCK_NAMES, isBlockName } from '../sparse/block.ts';

/** `sparsity` is zeros / all: within each row, or of the blocks of each row of them. */
export type Sparsity =
  | { readonly kind: 'n:m'; readonly keep: number; readonly group: number }
  | { readonly kind: 'unstructured'; readonly sparsity: number }
  | { readonly kind: 'block'; readonly block: BlockName; readonly sparsity: number };

/**
 * Reads `2:4` (keep 2 of every 4 inputs), `0.5` or `50%` (half of each row is pruned), or `4x1:0.7` or `4x1:70%` (of the blocks
 * of 4 outputs x 1 input, 70 % are pruned). Throws RangeError.
 */
export function parseSparsity(text: string): Sparsity {
  const nm = /^(\d+):(\d+)$/.exec(text);
  if (nm) {
    const keep = Number(nm[1]);
    const group = Number(nm[2]);
    if (keep > 0 && keep < group) return { kind: 'n:m', keep, group };
    throw new RangeError(explain('sparsity', 'N:M with 0 < N < M (kept : group)', text));
  }
  const [, block, share] = /^(\d+x\d+):(.*)$/.exec(text) ?? [];
  if (block !== undefined && !isBlockName(block)) {
    throw new RangeError(explain('sparsity', `blocks (outputs x inputs) of ${BLOCK_NAMES.join(', ')}`, text));
  }
  const sparsity = parseShare(share ?? text);
  if (sparsity > 0 && sparsity < 1) return block === undefined ? { kind: 'unstructured', sparsity } : { kind: 'block', block, sparsity };
  const wanted = 'N:M such as 2:4, a share between 0 and 1 such as 0.5 or 50%, or blocks and a share such as 4x1:70%';
  throw new RangeError(explain('sparsity', wanted, text));
}

/** `0.7` or `70%`; NaN where it is neither. */
function parseShare(text: string): number {
  const number = text.trim().replace(/%$/, '');
  if (number.trim() === '') return NaN;
  return number === text.trim() ? Number(number) : Number(number) / 100;
}

/** As parseSparsity reads it. */
export function formatSparsity(sparsity: Sparsity): string {
  if (sparsity.kind === 'n:m') return `${sparsity.keep}:${sparsity.group}`;
  return sparsity.kind === 'block' ? `${sparsity.block}:${sparsity.sparsity}` : String(sparsity.sparsity);
}
