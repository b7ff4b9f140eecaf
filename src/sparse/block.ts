/** Block-sparse weights: blocks that are kept or pruned whole; assembly/block.ts has the layout and the reason for it. */
import type { Room } from '../core/room.ts';
import { fitted } from '../core/room.ts';

/** Blocks by name, ROWSxCOLS (outputs x inputs), the largest first: a 16x1 mask is also a 4x1 one. */
export const BLOCKS = {
  '16x1': { rows: 16, cols: 1 },
  '4x4': { rows: 4, cols: 4 },
  '4x1': { rows: 4, cols: 1 },
  '1x4': { rows: 1, cols: 4 },
} as const;

export type BlockName = keyof typeof BLOCKS;
export const BLOCK_NAMES = Object.keys(BLOCKS) as BlockName[];

export function isBlockName(name: string): name is BlockName {
  return Object.hasOwn(BLOCKS, name);
}

/** What is sliced into strips, and what each strip lists. */
interface Sides {
  /** Whether the strips are inputs: then outputs are listed. */
  readonly across: boolean;
  readonly strip: number;
  readonly strips: number;
  /** Features of the side that has the strips, and of the side that is listed. */
  readonly features: number;
  readonly others: number;
  /** Features that an entry of the index lists, and that a segment has. */
  readonly entry: number;
  readonly segment: number;
}

function sidesOf(block: BlockName, rows: number, cols: number): Sides {
  const { rows: R, cols: C } = BLOCKS[block];
  const across = R === 1;
  const strip = across ? C : R;
  const [features, others] = across ? [cols, rows] : [rows, cols];
  const entry = across ? 1 : C;
  return { across, strip, strips: Math.ceil(features / strip), features, others, entry, segment: entry === 4 ? 512 : 256 };
}

/** Strips: the units that merging and sampling split into. */
export function stripCount(block: BlockName, rows: number, cols: number): number {
  return sidesOf(block, rows, cols).strips;
}

/** Parts of an output of so many features, which products are shared out by. */
export function blockParts(features: number): number {
  return Math.ceil(features / 512);
}

/** The units that the product with one token splits into: those that own rows of y. */
export function tokenUnits(block: BlockName, rows: number, cols: number): number {
  const { across, strips, segment } = sidesOf(block, rows, cols);
  return across ? Math.ceil(rows / segment) : strips;
}

export interface PackedBlocks {
  readonly block: BlockName;
  readonly starts: Uint32Array;
  readonly index: Uint8Array;
}

/** The structure of a mask of whole blocks (fitsBlocks). */
export function packBlocks(quads: Uint8Array, block: BlockName, rows: number, cols: number, room: Room): PackedBlocks {
  const { across, strip, strips, features, others, entry, segment } = sidesOf(block, rows, cols);
  const groups = Math.ceil(cols / 4);
  const starts = room<Uint32Array>(Uint32Array, (Math.ceil(others / segment) * strips + 1) * 2);
  const index = room<Uint8Array>(Uint8Array, strips * Math.ceil(others / entry));
  let entries = 0;
  let values = 0;
  let s = 0;
  for (let first = 0; first < others; first += segment) {
    const last = Math.min(first + segment, others);
    for (let k = 0; k < strips; k++) {
      starts[s++] = entries;
      starts[s++] = values;
      const height = Math.min(strip, features - k * strip);
      for (let other = first; other < last; other += entry) {
        const [row, col] = across ? [other, k * strip] : [k * strip, other];
        if (!((quads[row * groups + (col >> 2)]! >> (col & 3)) & 1)) continue;
        index[entries++] = (other - first) / entry;
        values += height * Math.min(entry, others - other);
      }
    }
  }
  starts[s++] = entries;
  starts[s] = values;
  return { block, starts, index: fitted(index, entries, room) };
}

/** Calls `visit` with the row-major position of each value, in the order of the format. */
export function eachInBlocks({ block, starts, index }: PackedBlocks, rows: number, cols: number, visit: (position: number) => void): void {
  const { across, strip, strips, features, others, entry, segment } = sidesOf(block, rows, cols);
  // Steps of a row-major position along the strips and along what they list.
  const [along, aside] = across ? [1, cols] : [cols, 1];
  for (let first = 0, s = 0; first < others; first += segment) {
    for (let k = 0; k < strips; k++, s += 2) {
      const end = Math.min((k + 1) * strip, features);
      for (let panel = k * strip; panel < end; panel += 4) {
        const width = Math.min(4, end - panel);
        for (let n = starts[s]!; n < starts[s + 2]!; n++) {
          const other = first + index[n]! * entry;
          for (let o = other; o < Math.min(other + entry, others); o++) {
            for (let f = 0; f < width; f++) visit((panel + f) * along + o * aside);
          }
        }
      }
    }
  }
}
