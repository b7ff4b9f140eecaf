/** Oracles of the sparse products, one formula for every format: a format is only the list of its kept positions. */
import { TILE } from '../table.ts';
import type { Maybe, Packed } from './layout.ts';
import { addFeature, dotFeature, feature, start, sum, weightAt } from './layout.ts';

/** Kept weights in the order of their values. */
export interface Entries {
  readonly rows: Uint32Array;
  readonly cols: Uint32Array;
}

/** Which unit of work an entry belongs to: its row, or its group of four inputs. */
export type UnitOf = (row: number, col: number) => number;

/** The features of tiles that units [begin, end) own, 1 for each: [tiles][features]. */
export function owned(
  tiles: number,
  features: number,
  unitOf: (tile: number, feature: number) => number,
  begin: number,
  end: number,
): Uint8Array {
  return Uint8Array.from({ length: tiles * features }, (_, n) => {
    const unit = unitOf(Math.floor(n / features), n % features);
    return Number(unit >= begin && unit < end);
  });
}

/** The units of tiles of a part of the output, part by part, in bands of 16 tiles; `firsts` are where parts begin. */
export const inBands =
  (tiles: number, firsts: readonly number[]) =>
  (tile: number, feature: number): number => {
    const band = tile - (tile % 16);
    const part = firsts.filter((first) => first <= feature).length - 1;
    return band * firsts.length + part * Math.min(16, tiles - band) + (tile - band);
  };

/** Y = (init or 0) + W X, where it is owned. */
export function spmm(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  w: Float64Array,
  e: Entries,
  M: number,
  K: number,
  own: Uint8Array,
): void {
  product(y, init, x, w, { out: e.rows, in: e.cols }, M, K, own);
}

/** dX = (init or 0) + W' dY, where it is owned. */
export function spmmT(
  dx: Float64Array,
  init: Maybe,
  dy: Float64Array,
  w: Float64Array,
  e: Entries,
  M: number,
  K: number,
  own: Uint8Array,
): void {
  product(dx, init, dy, w, { out: e.cols, in: e.rows }, K, M, own);
}

function product(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  w: Float64Array,
  e: { readonly out: Uint32Array; readonly in: Uint32Array },
  outputs: number,
  inputs: number,
  own: Uint8Array,
): void {
  own.forEach((mine, n) => {
    if (mine) start(y, init, n * TILE, (n + 1) * TILE);
  });
  const tiles = own.length / outputs;
  for (let n = 0; n < e.out.length; n++) {
    const [i, j] = [e.out[n]!, e.in[n]!];
    for (let t = 0; t < tiles; t++) {
      if (own[t * outputs + i]) addFeature(y, feature(t, i, outputs), w[n]!, x, feature(t, j, inputs));
    }
  }
}

/** y = (init or 0) + W x for one token, for rows [first, last). */
export function spmv(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  values: Packed,
  dtype: number,
  e: Entries,
  first: number,
  last: number,
): void {
  start(y, init, first, last);
  for (let n = 0; n < e.rows.length; n++) {
    const i = e.rows[n]!;
    if (i >= first && i < last) y[i]! += weightAt(values, n, dtype) * x[e.cols[n]!]!;
  }
}

/** merged[i, j] = W[i, j] + s sum_k up[i, k] downT[j, k] on the pattern. */
export function merge(
  merged: Float64Array,
  values: Packed | null,
  dtype: number,
  up: Maybe,
  downT: Maybe,
  rank: number,
  scaling: number,
  e: Entries,
  unitOf: UnitOf,
  begin: number,
  end: number,
): void {
  eachOwn(e, unitOf, begin, end, (n, i, j) => {
    merged[n] = weightAt(values, n, dtype) + scaling * sum(rank, (k) => up![i * rank + k]! * downT![j * rank + k]!);
  });
}

/** merged[i, j] = the nearest of scale (n - zero), n = 0 .. levels, by the scale and zero of row i and inputs j / size. */
export function snap(
  merged: Float64Array,
  scales: Float64Array,
  zeros: Float64Array,
  size: number,
  levels: number,
  e: Entries,
  unitOf: UnitOf,
  K: number,
  begin: number,
  end: number,
): void {
  eachOwn(e, unitOf, begin, end, (n, i, j) => {
    const group = i * Math.ceil(K / size) + Math.floor(j / size);
    merged[n] = nearestPoint(merged[n]!, scales[group]!, zeros[group]!, levels);
  });
}

/** The nearest point of a grid; half way between two it is the even multiple of the scale. */
export function nearestPoint(w: number, scale: number, zero: number, levels: number): number {
  const steps = w / scale;
  const below = Math.floor(steps);
  const even = below % 2 === 0 ? below : below + 1;
  const nearest = steps - below === 0.5 ? even : Math.round(steps);
  return scale * (Math.min(Math.max(nearest, -zero), levels - zero) + 0);
}

/** H[i, j] = (init or 0) + sum over tokens of dY[t, i] X[t, j] on the pattern. */
export function sddmm(
  h: Float64Array,
  init: Maybe,
  dy: Float64Array,
  x: Float64Array,
  e: Entries,
  unitOf: UnitOf,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  eachOwn(e, unitOf, begin, end, (n, i, j) => {
    h[n] = (init ? init[n]! : 0) + sum(tiles, (t) => dotFeature(dy, feature(t, i, M), x, feature(t, j, K)));
  });
}

/** dUp[i, k] += s sum_j H[i, j] downT[j, k], for quads of ranks k. */
export function upGrad(
  dUp: Float64Array,
  h: Float64Array,
  downT: Float64Array,
  rank: number,
  scaling: number,
  e: Entries,
  begin: number,
  end: number,
): void {
  eachOwn(
    e,
    () => begin,
    begin,
    end,
    (n, i, j) => {
      for (let k = begin * 4; k < end * 4; k++) dUp[i * rank + k]! += scaling * h[n]! * downT[j * rank + k]!;
    },
  );
}

/** dDownT[j, k] += s sum_i H[i, j] up[i, k], for ranks [first, last) and the entries of units [begin, end). */
export function downGrad(
  dDownT: Float64Array,
  h: Float64Array,
  up: Float64Array,
  rank: number,
  scaling: number,
  e: Entries,
  first: number,
  last: number,
  unitOf: UnitOf,
  begin: number,
  end: number,
): void {
  eachOwn(e, unitOf, begin, end, (n, i, j) => {
    for (let k = first; k < last; k++) dDownT[j * rank + k]! += scaling * h[n]! * up[i * rank + k]!;
  });
}

function eachOwn(e: Entries, unitOf: UnitOf, begin: number, end: number, visit: (n: number, row: number, col: number) => void): void {
  if (begin >= end) return;
  for (let n = 0; n < e.rows.length; n++) {
    const unit = unitOf(e.rows[n]!, e.cols[n]!);
    if (unit >= begin && unit < end) visit(n, e.rows[n]!, e.cols[n]!);
  }
}
