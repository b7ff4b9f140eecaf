/** Oracles of the kernels over block-sparse weights (layout: assembly/block.ts). Units of merge and sample: strips. */
import type { Maybe, Packed } from './layout.ts';
import type { Entries, UnitOf } from './sparse.ts';
import { downGrad, inBands, merge, owned, sddmm, snap, spmm, spmmT, spmv, upGrad } from './sparse.ts';

/** Features of a strip: outputs, or inputs where a block has one output. */
function stripOf(R: number, C: number): number {
  return R === 1 ? C : R;
}

function unitOf(R: number, C: number): UnitOf {
  const strip = stripOf(R, C);
  return (row, col) => Math.floor((R === 1 ? col : row) / strip);
}

/** Listed features of a segment: 256, or 512 where they are listed by fours. */
function segmentOf(R: number, C: number): number {
  return R > 1 && C === 4 ? 512 : 256;
}

/** Reads the index: for each segment, each strip: for each panel of four, each listed feature, the panel's features. */
function entries(starts: Uint32Array, index: Uint8Array, R: number, C: number, M: number, K: number): Entries {
  const rows: number[] = [];
  const cols: number[] = [];
  const [strip, segment, entry] = [stripOf(R, C), segmentOf(R, C), R === 1 ? 1 : C];
  const [features, others] = R === 1 ? [K, M] : [M, K];
  const strips = Math.ceil(features / strip);
  for (let list = 0; list * 2 + 2 < starts.length; list++) {
    const first = Math.floor(list / strips) * segment;
    const from = (list % strips) * strip;
    for (let f = from; f < Math.min(from + strip, features); f += 4) {
      for (let n = starts[list * 2]!; n < starts[list * 2 + 2]!; n++) {
        for (let o = first + index[n]! * entry; o < Math.min(first + (index[n]! + 1) * entry, others); o++) {
          for (let feature = f; feature < Math.min(f + 4, from + strip, features); feature++) {
            rows.push(R === 1 ? o : feature);
            cols.push(R === 1 ? feature : o);
          }
        }
      }
    }
  }
  return { rows: Uint32Array.from(rows), cols: Uint32Array.from(cols) };
}

/** Where parts of an output begin: 512 features each. */
const partsOf = (features: number): number[] => Array.from({ length: Math.ceil(features / 512) }, (_, part) => part * 512);

export function spmmBlock(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  w: Float64Array,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  spmm(y, init, x, w, entries(starts, index, R, C, M, K), M, K, owned(tiles, M, inBands(tiles, partsOf(M)), begin, end));
}

export function spmmTBlock(
  dx: Float64Array,
  init: Maybe,
  dy: Float64Array,
  w: Float64Array,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  spmmT(dx, init, dy, w, entries(starts, index, R, C, M, K), M, K, owned(tiles, K, inBands(tiles, partsOf(K)), begin, end));
}

export function mergeBlock(
  merged: Float64Array,
  values: Packed | null,
  dtype: number,
  up: Maybe,
  downT: Maybe,
  rank: number,
  scaling: number,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  merge(merged, values, dtype, up, downT, rank, scaling, entries(starts, index, R, C, M, K), unitOf(R, C), begin, end);
}

export function snapBlock(
  merged: Float64Array,
  scales: Float64Array,
  zeros: Float64Array,
  size: number,
  levels: number,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  snap(merged, scales, zeros, size, levels, entries(starts, index, R, C, M, K), unitOf(R, C), K, begin, end);
}

export function sddmmBlock(
  h: Float64Array,
  init: Maybe,
  dy: Float64Array,
  x: Float64Array,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  sddmm(h, init, dy, x, entries(starts, index, R, C, M, K), unitOf(R, C), M, K, tiles, begin, end);
}

export function upGradBlock(
  dUp: Float64Array,
  h: Float64Array,
  downT: Float64Array,
  rank: number,
  scaling: number,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  upGrad(dUp, h, downT, rank, scaling, entries(starts, index, R, C, M, K), begin, end);
}

/** Units are quads of ranks. */
export function downGradBlock(
  dDownT: Float64Array,
  h: Float64Array,
  up: Float64Array,
  rank: number,
  scaling: number,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  downGrad(dDownT, h, up, rank, scaling, entries(starts, index, R, C, M, K), begin * 4, end * 4, () => begin, begin, end);
}

/** Units are strips, or segments of rows where strips are inputs. */
export function spmvBlock(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  values: Packed,
  dtype: number,
  starts: Uint32Array,
  index: Uint8Array,
  R: number,
  C: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  const unit = R === 1 ? segmentOf(R, C) : R;
  spmv(y, init, x, values, dtype, entries(starts, index, R, C, M, K), begin * unit, Math.min(end * unit, M));
}
