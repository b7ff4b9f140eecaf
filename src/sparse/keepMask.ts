/**
 * Masks of kept positions. Pruners return bytes, row-major, 1 = kept. Packing starts from quads: a byte for each row and
 * group of four inputs, bit c set where input c of the group is kept.
 */
import type { WeightArray, WeightDtype } from '../core/dtypes.ts';
import type { Room } from '../core/room.ts';
import { HEAP } from '../core/room.ts';
import type { BlockName } from './block.ts';
import { BLOCKS, BLOCK_NAMES } from './block.ts';

/** The bits of a weight that are not its sign: all 0 in a zero, negative or not. */
const MAGNITUDE = { F32: 0x7fffffff, F16: 0x7fff, BF16: 0x7fff } as const;

/** How many inputs each quad keeps. */
export const KEPT = Uint8Array.from({ length: 16 }, (_, quad) => (quad & 1) + ((quad >> 1) & 1) + ((quad >> 2) & 1) + (quad >> 3));

/** The non-zeros of a dense matrix; a negative zero is a zero. */
export function nonZeros(dtype: WeightDtype, elements: WeightArray): Uint8Array {
  const keep = new Uint8Array(elements.length);
  const bits = bitsOf(elements);
  for (let i = 0; i < keep.length; i++) keep[i] = bits[i]! & MAGNITUDE[dtype] ? 1 : 0;
  return keep;
}

/** Elements as integers: copied and compared without a conversion to a number and back. */
export function bitsOf(elements: WeightArray): Int32Array | Uint16Array {
  if (!(elements instanceof Float32Array)) return elements;
  return new Int32Array(elements.buffer, elements.byteOffset, elements.length);
}

/** The quads of a matrix's non-zeros. */
export function quadsOfElements(dtype: WeightDtype, elements: WeightArray, rows: number, cols: number, room = HEAP): Uint8Array {
  return quadsOf(bitsOf(elements), MAGNITUDE[dtype], rows, cols, room);
}

/** The quads of a mask of bytes. */
export function quadsOfMask(keep: Uint8Array, rows: number, cols: number, room = HEAP): Uint8Array {
  return quadsOf(keep, 1, rows, cols, room);
}

function quadsOf(bits: Int32Array | Uint16Array | Uint8Array, magnitude: number, rows: number, cols: number, room: Room): Uint8Array {
  const groups = Math.ceil(cols / 4);
  const quads = room<Uint8Array>(Uint8Array, rows * groups);
  const whole = cols >> 2;
  for (let r = 0; r < rows; r++) {
    let i = r * cols;
    let q = r * groups;
    for (const last = q + whole; q < last; q++, i += 4) {
      quads[q] =
        (bits[i]! & magnitude ? 1 : 0) |
        (bits[i + 1]! & magnitude ? 2 : 0) |
        (bits[i + 2]! & magnitude ? 4 : 0) |
        (bits[i + 3]! & magnitude ? 8 : 0);
    }
    for (let c = 0; c < (cols & 3); c++) if (bits[i + c]! & magnitude) quads[q]! |= 1 << c;
  }
  return quads;
}

/** How many weights are kept. */
export function keptIn(quads: Uint8Array): number {
  let kept = 0;
  for (let q = 0; q < quads.length; q++) kept += KEPT[quads[q]!]!;
  return kept;
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
 * Names the pattern of a mask [rows, cols] that keeps so many: `dense`, `keep:group` when no group keeps more than `keep` (and nearly every
 * one keeps just that many), `4x1` and the like when every block is wholly kept or wholly pruned, else `unstructured`.
 */
export function patternOf(quads: Uint8Array, kept: number, rows: number, cols: number): string {
  if (kept === rows * cols) return 'dense';
  for (const [n, group] of KNOWN) {
    const full = ((rows * cols) / group) * n;
    if (cols % group === 0 && kept <= full && kept >= full * 0.99 && fits(quads, n, group)) return `${n}:${group}`;
  }
  if (kept > 0 && kept <= rows * cols * MOST_IN_BLOCKS) {
    for (const block of BLOCK_NAMES) {
      // A matrix that is smaller than a block fits any.
      if (rows >= BLOCKS[block].rows && cols >= BLOCKS[block].cols && fitsBlocks(quads, block, rows, cols)) return block;
    }
  }
  return 'unstructured';
}

/** Above this density a mask of blocks is none: an input or an output that nothing uses was not pruned in blocks. */
const MOST_IN_BLOCKS = 0.9;

/** Whether a mask is one of whole blocks, those at the edge cut off by it. */
export function fitsBlocks(quads: Uint8Array, block: BlockName, rows: number, cols: number): boolean {
  const { rows: R, cols: C } = BLOCKS[block];
  const groups = Math.ceil(cols / 4);
  if (C === 4) {
    const edge = 15 >> (groups * 4 - cols);
    for (let q = 0; q < quads.length; q++) if (quads[q] && quads[q] !== (q % groups === groups - 1 ? edge : 15)) return false;
  }
  // Each row of a strip is the one before it.
  for (let r = 1; r < rows; r++) {
    if (r % R === 0) continue;
    for (let q = r * groups; q < (r + 1) * groups; q++) if (quads[q] !== quads[q - groups]) return false;
  }
  return true;
}

/** Whether no group of inputs keeps more than n. Groups do not cross a row: its inputs are a multiple of the group. */
function fits(quads: Uint8Array, n: number, group: number): boolean {
  if (group === 2) return quads.every((quad) => KEPT[quad & 3]! <= n && KEPT[quad >> 2]! <= n);
  const width = group / 4;
  for (let q = 0; q < quads.length; q += width) {
    let kept = 0;
    for (let i = q; i < q + width; i++) kept += KEPT[quads[i]!]!;
    if (kept > n) return false;
  }
  return true;
}
