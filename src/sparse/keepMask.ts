/** Masks of kept positions, row-major bytes, 1 = kept: what pruners return and packing starts from. */
import type { WeightArray, WeightDtype } from '../core/dtypes.ts';

/** The non-zeros of a dense matrix; a negative zero is a zero. */
export function nonZeros(dtype: WeightDtype, elements: WeightArray): Uint8Array {
  const keep = new Uint8Array(elements.length);
  if (dtype === 'F32') for (let i = 0; i < keep.length; i++) keep[i] = elements[i] === 0 ? 0 : 1;
  else for (let i = 0; i < keep.length; i++) keep[i] = elements[i]! & 0x7fff ? 1 : 0;
  return keep;
}

/** N:M masks that people prune to, the strictest first: a 1:4 mask is also a valid 2:4 one. */
const KNOWN: readonly (readonly [keep: number, group: number])[] = [
  [1, 16],
  [1, 8],
  [2, 16],
  [1, 4],
  [2, 8],
  [4, 16],
  [1, 2],
  [2, 4],
  [4, 8],
  [8, 16],
  [3, 4],
  [6, 8],
];

/**
 * Names the pattern of a mask [rows, cols]: `dense`, `keep:group` when no group keeps more than `keep` (and nearly every
 * one keeps just that many), else `unstructured`.
 */
export function patternOf(keep: Uint8Array, cols: number): string {
  let kept = 0;
  for (let i = 0; i < keep.length; i++) kept += keep[i]!;
  if (kept === keep.length) return 'dense';
  for (const [n, group] of KNOWN) {
    if (cols % group === 0 && kept <= (keep.length / group) * n && kept >= (keep.length / group) * n * 0.99) {
      if (fits(keep, n, group)) return `${n}:${group}`;
    }
  }
  return 'unstructured';
}

function fits(keep: Uint8Array, n: number, group: number): boolean {
  for (let i = 0; i < keep.length; i += group) {
    let kept = 0;
    for (let j = i; j < i + group; j++) kept += keep[j]!;
    if (kept > n) return false;
  }
  return true;
}
