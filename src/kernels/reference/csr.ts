/** Oracles of the kernels over column-blocked CSR (layout: assembly/csr.ts). Units of merge and sample: rows. */
import type { Maybe, Packed } from './layout.ts';
import type { Entries } from './sparse.ts';
import { downGrad, merge, owned, sddmm, snap, spmm, spmmT, spmv, upGrad } from './sparse.ts';

const BLOCK = 256;
const rowOf = (row: number): number => row;

/** Reads the index: for each block of inputs, each row: its inputs. */
function entries(rowPtr: Uint32Array, index: Uint8Array, M: number, K: number): Entries {
  const rows = new Uint32Array(index.length);
  const cols = new Uint32Array(index.length);
  for (let block = 0; block < Math.ceil(K / BLOCK); block++) {
    for (let i = 0; i < M; i++) {
      const at = block * (M + 1) + i;
      for (let n = rowPtr[at]!; n < rowPtr[at + 1]!; n++) {
        rows[n] = i;
        cols[n] = block * BLOCK + index[n]!;
      }
    }
  }
  return { rows, cols };
}

/** Units of the products: pairs of tiles of a strip of 1024 features of the output, strip by strip. */
const unitOf =
  (tiles: number) =>
  (tile: number, feature: number): number =>
    Math.floor(feature / 1024) * Math.ceil(tiles / 2) + Math.floor(tile / 2);

export function spmmCsr(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  w: Float64Array,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  spmm(y, init, x, w, entries(rowPtr, index, M, K), M, K, owned(tiles, M, unitOf(tiles), begin, end));
}

/** Reads the transposed index: for each block of inputs, each block of rows: each input's rows. */
function transposedEntries(colPtr: Uint32Array, index: Uint8Array, M: number, K: number): Entries {
  const rows = new Uint32Array(index.length);
  const cols = new Uint32Array(index.length);
  const width = Math.ceil(K / BLOCK);
  for (let j = 0; j < K; j++) {
    for (let r = 0; r < Math.ceil(M / BLOCK); r++) {
      const at = (r * width + Math.floor(j / BLOCK)) * (BLOCK + 1) + (j % BLOCK);
      for (let n = colPtr[at]!; n < colPtr[at + 1]!; n++) {
        rows[n] = r * BLOCK + index[n]!;
        cols[n] = j;
      }
    }
  }
  return { rows, cols };
}

export function spmmTCsr(
  dx: Float64Array,
  init: Maybe,
  dy: Float64Array,
  w: Float64Array,
  colPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  spmmT(dx, init, dy, w, transposedEntries(colPtr, index, M, K), M, K, owned(tiles, K, unitOf(tiles), begin, end));
}

/** Units are blocks of rows and inputs. */
export function transposeCsr(
  wT: Float64Array,
  colPtr: Uint32Array,
  indexT: Uint8Array,
  w: Float64Array,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  const { rows, cols } = entries(rowPtr, index, M, K);
  const width = Math.ceil(K / BLOCK);
  for (let unit = begin; unit < end; unit++) {
    const [r, b] = [Math.floor(unit / width), unit % width];
    // The values of a block of rows and inputs are in the same range in both orders.
    let at = rowPtr[b * (M + 1) + r * BLOCK]!;
    const own = Array.from({ length: rowPtr[b * (M + 1) + Math.min((r + 1) * BLOCK, M)]! - at }, (_, i) => at + i);
    own.sort((m, n) => cols[m]! - cols[n]! || rows[m]! - rows[n]!);
    for (let c = 0; c <= BLOCK; c++) colPtr[unit * (BLOCK + 1) + c] = at + own.filter((n) => cols[n]! - b * BLOCK < c).length;
    for (const n of own) {
      wT[at] = w[n]!;
      indexT[at++] = rows[n]! % BLOCK;
    }
  }
}

export function mergeCsr(
  merged: Float64Array,
  values: Packed | null,
  dtype: number,
  up: Maybe,
  downT: Maybe,
  rank: number,
  scaling: number,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  merge(merged, values, dtype, up, downT, rank, scaling, entries(rowPtr, index, M, K), rowOf, begin, end);
}

export function snapCsr(
  merged: Float64Array,
  scales: Float64Array,
  zeros: Float64Array,
  size: number,
  levels: number,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  snap(merged, scales, zeros, size, levels, entries(rowPtr, index, M, K), rowOf, K, begin, end);
}

export function sddmmCsr(
  h: Float64Array,
  init: Maybe,
  dy: Float64Array,
  x: Float64Array,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  sddmm(h, init, dy, x, entries(rowPtr, index, M, K), rowOf, M, K, tiles, begin, end);
}

export function upGradCsr(
  dUp: Float64Array,
  h: Float64Array,
  downT: Float64Array,
  rank: number,
  scaling: number,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  upGrad(dUp, h, downT, rank, scaling, entries(rowPtr, index, M, K), begin, end);
}

/** Units are quads of ranks here: a row's inputs are scattered, so no worker owns an input. */
export function downGradCsr(
  dDownT: Float64Array,
  h: Float64Array,
  up: Float64Array,
  rank: number,
  scaling: number,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  downGrad(dDownT, h, up, rank, scaling, entries(rowPtr, index, M, K), begin * 4, end * 4, () => begin, begin, end);
}

export function spmvCsr(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  values: Packed,
  dtype: number,
  rowPtr: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  spmv(y, init, x, values, dtype, entries(rowPtr, index, M, K), begin, end);
}
