/** How much to prune, and in which pattern. */
import { explain } from '../core/errors.ts';

export type Sparsity =
  | { readonly kind: 'n:m'; readonly keep: number; readonly group: number }
  /** `sparsity` is zeros / all, within each row. */
  | { readonly kind: 'unstructured'; readonly sparsity: number };

/** Reads `2:4` (keep 2 of every 4 inputs) or `0.5` (half of each row is pruned). Throws RangeError. */
export function parseSparsity(text: string): Sparsity {
  const nm = /^(\d+):(\d+)$/.exec(text);
  if (nm) {
    const keep = Number(nm[1]);
    const group = Number(nm[2]);
    if (keep > 0 && keep < group) return { kind: 'n:m', keep, group };
    throw new RangeError(explain('sparsity', 'N:M with 0 < N < M (kept : group)', text));
  }
  const sparsity = Number(text);
  if (text.trim() !== '' && sparsity > 0 && sparsity < 1) return { kind: 'unstructured', sparsity };
  throw new RangeError(explain('sparsity', 'N:M such as 2:4, or a share between 0 and 1 such as 0.5', text));
}

/** As parseSparsity reads it. */
export function formatSparsity(sparsity: Sparsity): string {
  return sparsity.kind === 'n:m' ? `${sparsity.keep}:${sparsity.group}` : String(sparsity.sparsity);
}
