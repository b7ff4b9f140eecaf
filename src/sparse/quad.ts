/** Packing into pattern-bucketed quads; assembly/quad.ts has the layout and the reason for it. */
import type { Room } from '../core/room.ts';
import { fitted } from '../core/room.ts';
import { KEPT } from './keepMask.ts';

/** Most rows of a block: as many as a byte can say. */
const MOST_ROWS = 256;
/** Groups bucketed at a time: their buckets' ends, and the cache lines where they are, stay in the first-level cache. */
const CHUNK = 64;
/** Most rows of a bucket: what its count can say. */
const MOST_LISTED = 255;
/**
 * The order of a group's buckets: neighbours share no input where they can, so that backward the sums of one need not wait for those of
 * the one before it, which end in a store (2 % faster at 2:4 than ascending).
 */
const ORDER = [3, 12, 5, 10, 6, 9, 1, 14, 2, 13, 4, 11, 8, 7, 15] as const;
/** The inputs that each quad keeps, four places a quad. */
const INPUTS = Uint8Array.from({ length: 64 }, (_, i) => [0, 1, 2, 3].filter((c) => (i >> 2) & (1 << c))[i & 3] ?? 0);

/** Buckets of one pattern in one group, while they are filled: a slot for each group of a chunk and pattern. */
class Slots {
  /** Rows in the bucket that is open. */
  readonly count = new Int32Array(CHUNK * 16);
  /** Bytes of index, then where the next byte goes. */
  readonly index = new Int32Array(CHUNK * 16);
  /** Rows of all buckets, then where the next value goes. */
  readonly values = new Int32Array(CHUNK * 16);
  /** Where the open bucket begins. */
  readonly head = new Int32Array(CHUNK * 16);

  restart(): void {
    this.count.fill(0);
  }

  /** Whether the slot's next row begins a bucket. */
  opens(slot: number): boolean {
    const count = this.count[slot]!;
    if (count > 0 && count < MOST_LISTED) return false;
    this.count[slot] = 0;
    return true;
  }
}

/** Blocks of a weight of so many rows. */
export function quadBlocks(rows: number): number {
  return Math.ceil(rows / MOST_ROWS);
}

/** Strips of the inputs of a weight of so many columns, which the product with W' is shared out by: four chunks of 72 groups at most. */
export function quadStrips(cols: number): number {
  return Math.ceil(Math.ceil(Math.ceil(cols / 4) / 72) / 4);
}

/** Rows of each block; the last one may have fewer. */
function blockRowsOf(rows: number): number {
  return Math.ceil(rows / quadBlocks(rows));
}

export interface PackedQuads {
  readonly starts: Uint32Array;
  readonly index: Uint8Array;
}

/** Buckets the quads of a mask, and writes the `kept` elements that they keep to `values`. */
export function packQuads<T extends Int32Array | Uint16Array>(
  quads: Uint8Array,
  elements: T,
  values: T,
  rows: number,
  cols: number,
  room: Room,
): PackedQuads {
  const groups = Math.ceil(cols / 4);
  const blocks = quadBlocks(rows);
  const blockRows = blockRowsOf(rows);
  const starts = room<Uint32Array>(Uint32Array, (blocks * groups + 1) * 2);
  // Each row opens a bucket at most, and a pattern one, or two where all rows of a block have it.
  const index = room<Uint8Array>(Uint8Array, quads.length + 2 * Math.min(quads.length, blocks * groups * 16));
  const slots = new Slots();
  let bytes = 0;
  let n = 0;
  for (let first = 0; first < rows; first += blockRows) {
    const count = Math.min(blockRows, rows - first);
    for (let chunk = 0; chunk < groups; chunk += CHUNK) {
      const width = Math.min(CHUNK, groups - chunk);
      measure(slots, quads, first * groups + chunk, groups, count, width);
      for (let g = 0; g < width; g++) {
        starts.set([bytes, n], ((first / blockRows) * groups + chunk + g) * 2);
        for (const pattern of ORDER) {
          const slot = g * 16 + pattern;
          const size = slots.index[slot]!;
          const kept = slots.values[slot]! * KEPT[pattern]!;
          slots.index[slot] = bytes;
          slots.values[slot] = n;
          bytes += size;
          n += kept;
        }
      }
      fill(slots, quads, first * groups + chunk, groups, count, width, elements, first * cols + chunk * 4, cols, index, values);
    }
  }
  starts.set([bytes, n], blocks * groups * 2);
  return { starts, index: fitted(index, bytes, room) };
}

/** Counts each slot's rows and bytes of index. */
function measure(slots: Slots, quads: Uint8Array, at: number, stride: number, rows: number, width: number): void {
  slots.restart();
  slots.index.fill(0);
  slots.values.fill(0);
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < width; g++) {
      const quad = quads[at + r * stride + g]!;
      if (quad === 0) continue;
      const slot = g * 16 + quad;
      if (slots.opens(slot)) slots.index[slot]! += 2;
      slots.count[slot]!++;
      slots.index[slot]!++;
      slots.values[slot]!++;
    }
  }
}

/** Writes the index and the values of each slot. */
function fill(
  slots: Slots,
  quads: Uint8Array,
  at: number,
  stride: number,
  rows: number,
  width: number,
  elements: Int32Array | Uint16Array,
  from: number,
  cols: number,
  index: Uint8Array,
  values: Int32Array | Uint16Array,
): void {
  slots.restart();
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < width; g++) {
      const quad = quads[at + r * stride + g]!;
      if (quad === 0) continue;
      const slot = g * 16 + quad;
      let i = slots.index[slot]!;
      if (slots.opens(slot)) {
        slots.head[slot] = i;
        index[i] = quad;
        i += 2;
      }
      index[slots.head[slot]! + 1] = ++slots.count[slot]!;
      index[i] = r;
      slots.index[slot] = i + 1;
      let n = slots.values[slot]!;
      for (let k = quad * 4, last = k + KEPT[quad]!; k < last; k++) values[n++] = elements[from + r * cols + g * 4 + INPUTS[k]!]!;
      slots.values[slot] = n;
    }
  }
}

/** Calls `visit` with the row-major position of each value, in the order of the format. */
export function eachInQuads(starts: Uint32Array, index: Uint8Array, rows: number, cols: number, visit: (position: number) => void): void {
  const groups = Math.ceil(cols / 4);
  const lists = quadBlocks(rows) * groups;
  const blockRows = blockRowsOf(rows);
  for (let list = 0; list < lists; list++) {
    const block = Math.floor(list / groups) * blockRows * cols + (list % groups) * 4;
    let i = starts[list * 2]!;
    while (i < starts[list * 2 + 2]!) {
      const quad = index[i]!;
      const last = i + 2 + index[i + 1]!;
      for (i += 2; i < last; i++) {
        const row = block + index[i]! * cols;
        for (let k = quad * 4, end = k + KEPT[quad]!; k < end; k++) visit(row + INPUTS[k]!);
      }
    }
  }
}
