/** Seeded inputs: small integers, whose sums are exact in any order, and Gaussians; masks of every kind. */
import type { Random } from '../../src/core/random.ts';
import type { BlockName } from '../../src/sparse/block.ts';
import { BLOCKS } from '../../src/sparse/block.ts';
import { nonZeros } from '../../src/sparse/keepMask.ts';

/** Whole numbers from -most to most. */
export function integers(random: Random, length: number, most = 3): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => random.below(2 * most + 1) - most);
}

/** Standard normal, times `spread`. */
export function gaussians(random: Random, length: number, spread = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => random.normal() * spread);
}

/** Masks [rows, cols] by name. A group at the end of a row that is cut short keeps what falls into it. */
export const MASKS = {
  '2:4': (random: Random, rows: number, cols: number) => grouped(random, rows, cols, 2, 4),
  '4:8': (random: Random, rows: number, cols: number) => grouped(random, rows, cols, 4, 8),
  '1:4': (random: Random, rows: number, cols: number) => grouped(random, rows, cols, 1, 4),
  '3:4': (random: Random, rows: number, cols: number) => grouped(random, rows, cols, 3, 4),
  '50 %': (random: Random, rows: number, cols: number) => scattered(random, rows, cols, 0.5),
  '90 % sparse': (random: Random, rows: number, cols: number) => scattered(random, rows, cols, 0.1),
  'empty rows': (random: Random, rows: number, cols: number) => {
    const keep = scattered(random, rows, cols, 0.4);
    for (let r = 0; r < rows; r++) if (r % 5 === 0 || r === rows - 1) keep.fill(0, r * cols, (r + 1) * cols);
    return keep;
  },
  /** Every pattern of a group of four in every group; rows of one pattern are 16 apart. */
  'every pattern': (_random: Random, rows: number, cols: number) =>
    Uint8Array.from({ length: rows * cols }, (_, i) => ((Math.floor(i / cols) * 7 + Math.floor((i % cols) / 4)) >> ((i % cols) % 4)) & 1),
  /** Of 512 rows the first, and the last of both blocks of quads, row 255 of it. */
  'far rows': (_random: Random, rows: number, cols: number) =>
    Uint8Array.from({ length: rows * cols }, (_, i) =>
      Math.floor(i / cols) % 256 === 255 || i < cols || i >= (rows - 1) * cols ? (i + 1) % 2 : 0,
    ),
  dense: (_random: Random, rows: number, cols: number) => new Uint8Array(rows * cols).fill(1),
  /** The same two inputs in every row: more rows than a bucket of a quad's index can count. */
  'full columns': (_random: Random, rows: number, cols: number) =>
    Uint8Array.from({ length: rows * cols }, (_, i) => ((i % cols) % 4 < 2 ? 1 : 0)),
} as const;

/** Masks of whole blocks, a share of them kept. Those at the edge are cut off by it; every third strip of them keeps none. */
export function blockMask(random: Random, rows: number, cols: number, block: BlockName, density: number): Uint8Array {
  const { rows: R, cols: C } = BLOCKS[block];
  const mask = new Uint8Array(rows * cols);
  for (let r = 0; r < rows; r += R) {
    for (let c = 0; c < cols; c += C) {
      if (random.uniform() >= density || (R === 1 ? c / C : r / R) % 3 === 1) continue;
      for (let i = r; i < Math.min(r + R, rows); i++) mask.fill(1, i * cols + c, i * cols + Math.min(c + C, cols));
    }
  }
  return mask;
}

function grouped(random: Random, rows: number, cols: number, keep: number, group: number): Uint8Array {
  const mask = new Uint8Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < cols; g += group) {
      for (const c of random.permutation(group).subarray(0, keep)) if (g + c < cols) mask[r * cols + g + c] = 1;
    }
  }
  return mask;
}

function scattered(random: Random, rows: number, cols: number, density: number): Uint8Array {
  return Uint8Array.from({ length: rows * cols }, () => (random.uniform() < density ? 1 : 0));
}

/** The values of a matrix where the mask keeps them, 0 elsewhere. */
export function masked(values: Float32Array<ArrayBuffer>, keep: Uint8Array): Float32Array<ArrayBuffer> {
  return values.map((v, i) => (keep[i] ? v : 0));
}

/** How many values the fullest row, and the fullest column, keep. */
export function fullest(elements: Float32Array, rows: number, cols: number): { row: number; column: number } {
  const keep = nonZeros('F32', elements);
  const inRow = new Uint32Array(rows);
  const inColumn = new Uint32Array(cols);
  keep.forEach((k, i) => {
    inRow[Math.floor(i / cols)]! += k;
    inColumn[i % cols]! += k;
  });
  return { row: Math.max(...inRow), column: Math.max(...inColumn) };
}
