/** Oracles of the kernels over pattern-bucketed quads (layout: assembly/quad.ts). Units of merge and sample: groups of four inputs. */
import type { Maybe, Packed } from './layout.ts';
import type { Entries } from './sparse.ts';
import { downGrad, inBands, merge, owned, sddmm, snap, spmm, spmmT, spmv, upGrad } from './sparse.ts';

const groupOf = (_row: number, col: number): number => Math.floor(col / 4);

/** As few equal blocks as have 256 rows at most: rows of each but the last. */
const blockRowsOf = (M: number): number => Math.ceil(M / Math.ceil(M / 256));

/** Reads the index: for each block of rows, group of inputs and bucket: pattern, count, rows from the block's first. */
function entries(starts: Uint32Array, index: Uint8Array, M: number, K: number): Entries {
  const groups = Math.ceil(K / 4);
  const blockRows = blockRowsOf(M);
  const lists = Math.ceil(M / blockRows) * groups;
  const rows: number[] = [];
  const cols: number[] = [];
  for (let list = 0; list < lists; list++) {
    for (let i = starts[list * 2]!; i < starts[list * 2 + 2]!; i += 2 + index[i + 1]!) {
      const pattern = index[i]!;
      const first = Math.floor(list / groups) * blockRows;
      for (let listed = 0; listed < index[i + 1]!; listed++) {
        const row = first + index[i + 2 + listed]!;
        for (let c = 0; c < 4; c++) {
          if (!(pattern & (1 << c))) continue;
          rows.push(row);
          cols.push((list % groups) * 4 + c);
        }
      }
    }
  }
  return { rows: Uint32Array.from(rows), cols: Uint32Array.from(cols) };
}

/** Where strips of inputs begin: as few equal ones as have four chunks at most, which are as few equal ones as have 72 groups at most. */
function stripsOf(K: number): number[] {
  const groups = Math.ceil(K / 4);
  const chunks = Math.ceil(groups / 72);
  const strips = Math.ceil(chunks / 4);
  return Array.from({ length: strips }, (_, s) => Math.floor((groups * Math.floor((chunks * s) / strips)) / chunks) * 4);
}

export function spmmQuad(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  w: Float64Array,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  _pairs: number,
  _scratch: null,
  tiles: number,
  begin: number,
  end: number,
): void {
  const blocks = Array.from({ length: Math.ceil(M / 256) }, (_, b) => b * blockRowsOf(M));
  spmm(y, init, x, w, entries(starts, index, M, K), M, K, owned(tiles, M, inBands(tiles, blocks), begin, end));
}

export function spmmTQuad(
  dx: Float64Array,
  init: Maybe,
  dy: Float64Array,
  w: Float64Array,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  _pairs: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  spmmT(dx, init, dy, w, entries(starts, index, M, K), M, K, owned(tiles, K, inBands(tiles, stripsOf(K)), begin, end));
}

export function mergeQuad(
  merged: Float64Array,
  values: Packed | null,
  dtype: number,
  up: Maybe,
  downT: Maybe,
  rank: number,
  scaling: number,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  merge(merged, values, dtype, up, downT, rank, scaling, entries(starts, index, M, K), groupOf, begin, end);
}

export function snapQuad(
  merged: Float64Array,
  scales: Float64Array,
  zeros: Float64Array,
  size: number,
  levels: number,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  snap(merged, scales, zeros, size, levels, entries(starts, index, M, K), groupOf, K, begin, end);
}

export function sddmmQuad(
  h: Float64Array,
  init: Maybe,
  dy: Float64Array,
  x: Float64Array,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  sddmm(h, init, dy, x, entries(starts, index, M, K), groupOf, M, K, tiles, begin, end);
}

export function upGradQuad(
  dUp: Float64Array,
  h: Float64Array,
  downT: Float64Array,
  rank: number,
  scaling: number,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  upGrad(dUp, h, downT, rank, scaling, entries(starts, index, M, K), begin, end);
}

export function downGradQuad(
  dDownT: Float64Array,
  h: Float64Array,
  up: Float64Array,
  rank: number,
  scaling: number,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  downGrad(dDownT, h, up, rank, scaling, entries(starts, index, M, K), 0, rank, groupOf, begin, end);
}

/** Units are blocks of rows. */
export function spmvQuad(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  values: Packed,
  dtype: number,
  starts: Uint32Array,
  index: Uint8Array,
  M: number,
  K: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  spmv(y, init, x, values, dtype, entries(starts, index, M, K), begin * blockRowsOf(M), Math.min(end * blockRowsOf(M), M));
}
