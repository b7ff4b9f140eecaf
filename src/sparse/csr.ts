/** Packing into column-blocked CSR; assembly/csr.ts has the layout and the reason for it. `order` as in quad.ts. */
const COLUMNS = 256;

export interface CsrStructure {
  readonly rowPtr: Uint32Array;
  readonly index: Uint16Array;
  readonly order: Uint32Array;
}

/** Blocks a mask [rows, cols]. */
export function csrStructure(keep: Uint8Array, rows: number, cols: number): CsrStructure {
  let kept = 0;
  for (let i = 0; i < keep.length; i++) kept += keep[i]!;
  const blocks = Math.ceil(cols / COLUMNS);
  const rowPtr = new Uint32Array(blocks * (rows + 1));
  const index = new Uint16Array(kept);
  const order = new Uint32Array(kept);
  let n = 0;
  for (let block = 0; block < blocks; block++) {
    const first = block * COLUMNS;
    const last = Math.min(first + COLUMNS, cols);
    for (let r = 0; r < rows; r++) {
      rowPtr[block * (rows + 1) + r] = n;
      for (let c = first; c < last; c++) {
        if (!keep[r * cols + c]) continue;
        index[n] = (c - first) * 64;
        order[n++] = r * cols + c;
      }
    }
    rowPtr[block * (rows + 1) + rows] = n;
  }
  return { rowPtr, index, order };
}

/** The order of values alone, from a packed index: what unpacking needs. */
export function csrOrder(rowPtr: Uint32Array, index: Uint16Array, rows: number, cols: number): Uint32Array {
  const order = new Uint32Array(index.length);
  for (let block = 0; block < Math.ceil(cols / COLUMNS); block++) {
    for (let r = 0; r < rows; r++) {
      const at = block * (rows + 1) + r;
      for (let n = rowPtr[at]!; n < rowPtr[at + 1]!; n++) order[n] = r * cols + block * COLUMNS + index[n]! / 64;
    }
  }
  return order;
}
