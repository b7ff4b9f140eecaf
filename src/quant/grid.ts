/**
 * Group-wise integer grids for weights: what INT4 can hold.
 *
 *   w = scale (n - zero),  n = 0 .. 15          a scale and a zero point for each row and group of `size` inputs
 *
 * Zero points are whole numbers in the range of n, so that 0 is a point of every grid: a pruned weight is on it, exactly.
 * Round-to-nearest with the range of each group (GPTQ's asymmetric quantiser without its error feedback, arXiv 2210.17323);
 * the names in files are those of compressed-tensors.
 */
import { explain } from '../core/errors.ts';

export const BITS = 4;
/** The largest n. */
export const LEVELS = 2 ** BITS - 1;
/** Inputs of a group where nothing else is said. */
export const GROUP_SIZE = 128;

export interface Grid {
  readonly rows: number;
  readonly cols: number;
  /** Inputs of a group, a multiple of 4; the last group of a row may have fewer, and a row shorter than that is one group. */
  readonly size: number;
  /** [rows, groups], above 0 */
  readonly scales: Float32Array;
  /** [rows, groups], whole numbers in 0 .. LEVELS */
  readonly zeros: Float32Array;
}

/** Groups of a row. */
export function groupsOf({ cols, size }: { readonly cols: number; readonly size: number }): number {
  return Math.ceil(cols / size);
}

/** The grid of a row-major matrix: each group's spans its weights and 0. Throws RangeError where the size is no multiple of 4. */
export function gridOf(elements: Float32Array, rows: number, cols: number, size = GROUP_SIZE): Grid {
  checkSize(size);
  const groups = groupsOf({ cols, size });
  const scales = new Float32Array(rows * groups);
  const zeros = new Float32Array(rows * groups);
  for (let group = 0; group < rows * groups; group++) {
    const first = Math.floor(group / groups) * cols + (group % groups) * size;
    const last = Math.min(first + size, (Math.floor(group / groups) + 1) * cols);
    let [low, high] = [0, 0];
    for (let i = first; i < last; i++) {
      low = Math.min(low, elements[i]!);
      high = Math.max(high, elements[i]!);
    }
    // A range that f32 cannot cut into so many steps is all zeros to it.
    const scale = Math.fround((high - low) / LEVELS);
    scales[group] = scale > 0 ? scale : 1;
    zeros[group] = Math.min(LEVELS, Math.max(0, Math.round(-low / scales[group]!)));
  }
  return { rows, cols, size, scales, zeros };
}

/** Throws RangeError where groups of so many inputs are none that the kernels know. */
export function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 4 || size % 4 !== 0)
    throw new RangeError(explain('--group-size', 'a multiple of 4, such as 128', `${size}`));
}

/** The nearest points of the grid, as the kernels find them: f32 arithmetic, halves to even, and never a negative zero. */
export function snapped(elements: Float32Array, grid: Grid): Float32Array<ArrayBuffer> {
  return each(elements, grid, (w, scale, zero) => Math.fround(scale * steps(w, scale, zero)));
}

/** The n of each element: 0 .. LEVELS, what INT4 stores. */
export function codes(elements: Float32Array, grid: Grid): Uint8Array {
  return Uint8Array.from(each(elements, grid, (w, scale, zero) => steps(w, scale, zero) + zero));
}

/** The weights of codes. */
export function decoded(of: Uint8Array, grid: Grid): Float32Array<ArrayBuffer> {
  return each(of, grid, (n, scale, zero) => Math.fround(scale * (n - zero)));
}

/** n - zero of the nearest point. */
function steps(w: number, scale: number, zero: number): number {
  return Math.min(Math.max(halfToEven(Math.fround(w / scale)), -zero), LEVELS - zero) + 0;
}

function halfToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

function each(
  elements: Float32Array | Uint8Array,
  grid: Grid,
  f: (element: number, scale: number, zero: number) => number,
): Float32Array<ArrayBuffer> {
  const { rows, cols, size, scales, zeros } = grid;
  if (elements.length !== rows * cols) throw new RangeError(explain('grid', `${rows} x ${cols} elements`, `${elements.length}`));
  const groups = groupsOf(grid);
  const out = new Float32Array(elements.length);
  for (let i = 0; i < out.length; i++) {
    const group = Math.floor(i / cols) * groups + Math.floor((i % cols) / size);
    out[i] = f(elements[i]!, scales[group]!, zeros[group]!);
  }
  return out;
}
