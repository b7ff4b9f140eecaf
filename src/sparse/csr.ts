/** Packing into column-blocked CSR; assembly/csr.ts has the layout and the reason for it. */
import type { Room } from '../core/room.ts';

const COLUMNS = 256;

/** Blocks of 256 rows and inputs: the units that transposing splits into. */
export function blockCount(rows: number, cols: number): number {
  return Math.ceil(rows / COLUMNS) * Math.ceil(cols / COLUMNS);
}

/** How many pointers the transposed arrays have. */
export function pointerCount(rows: number, cols: number): number {
  return blockCount(rows, cols) * (COLUMNS + 1);
}

/** Strips of the outputs of a product, forward, or of its inputs, backward, which it is shared out by. */
export function csrStrips(features: number): number {
  return Math.ceil(features / 1024);
}

export interface PackedCsr {
  readonly rowPtr: Uint32Array;
  readonly index: Uint8Array;
}

/** Lists the quads of a mask row by row in each block, and writes the elements that they keep to `values`. */
export function packCsr<T extends Int32Array | Uint16Array>(
  quads: Uint8Array,
  elements: T,
  values: T,
  rows: number,
  cols: number,
  room: Room,
): PackedCsr {
  const groups = Math.ceil(cols / 4);
  const blocks = Math.ceil(cols / COLUMNS);
  const rowPtr = room<Uint32Array>(Uint32Array, blocks * (rows + 1));
  const index = room<Uint8Array>(Uint8Array, values.length);
  let n = 0;
  for (let block = 0; block < blocks; block++) {
    const first = block * (COLUMNS / 4);
    const width = Math.min(COLUMNS / 4, groups - first);
    for (let r = 0; r < rows; r++) {
      rowPtr[block * (rows + 1) + r] = n;
      for (let g = 0; g < width; g++) {
        const quad = quads[r * groups + first + g]!;
        if (quad === 0) continue;
        for (let c = 0; c < 4; c++) {
          if (!(quad & (1 << c))) continue;
          index[n] = g * 4 + c;
          values[n++] = elements[r * cols + (first + g) * 4 + c]!;
        }
      }
    }
    rowPtr[block * (rows + 1) + rows] = n;
  }
  return { rowPtr, index };
}

/** Calls `visit` with the row-major position of each value, in the order of the format. */
export function eachInCsr(rowPtr: Uint32Array, index: Uint8Array, rows: number, cols: number, visit: (position: number) => void): void {
  for (let block = 0; block < Math.ceil(cols / COLUMNS); block++) {
    for (let r = 0; r < rows; r++) {
      const at = block * (rows + 1) + r;
      for (let n = rowPtr[at]!; n < rowPtr[at + 1]!; n++) visit(r * cols + block * COLUMNS + index[n]!);
    }
  }
}
