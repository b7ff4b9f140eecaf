/**
 * Oracles of the dense products: W in panels of four rows, which may be a band of a larger one of `features` rows. Units are 32 tiles
 * by twelve rows, forward, or twelve inputs, backward.
 */
import type { Maybe, Packed } from './layout.ts';
import { addFeature, dotFeature, feature, paneled, start, sum, weightAt } from './layout.ts';
import { nearestPoint } from './sparse.ts';

export function gemm(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  w: Float64Array,
  features: number,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  eachUnit(M, tiles, begin, end, (t, i) => {
    start(y, init, feature(t, i, features), feature(t, i + 1, features));
    for (let j = 0; j < K; j++) addFeature(y, feature(t, i, features), w[paneled(i, j, K)]!, x, feature(t, j, K));
  });
}

export function gemmT(
  dx: Float64Array,
  init: Maybe,
  dy: Float64Array,
  w: Float64Array,
  features: number,
  M: number,
  K: number,
  _scratch: null,
  tiles: number,
  begin: number,
  end: number,
): void {
  eachUnit(K, tiles, begin, end, (t, j) => {
    start(dx, init, feature(t, j, K), feature(t, j + 1, K));
    for (let i = 0; i < M; i++) addFeature(dx, feature(t, j, K), w[paneled(i, j, K)]!, dy, feature(t, i, features));
  });
}

/** Calls back for each tile and feature of some units. */
function eachUnit(features: number, tiles: number, begin: number, end: number, each: (tile: number, feature: number) => void): void {
  const strips = Math.ceil(features / 12);
  for (let unit = begin; unit < end; unit++) {
    const [band, strip] = [Math.floor(unit / strips), unit % strips];
    for (let t = band * 32; t < Math.min(tiles, band * 32 + 32); t++) {
      for (let i = strip * 12; i < Math.min(features, strip * 12 + 12); i++) each(t, i);
    }
  }
}

/** Padding rows of the last panel take no update. */
export function mergeDense(
  merged: Float64Array,
  values: Packed | null,
  dtype: number,
  up: Maybe,
  downT: Maybe,
  rank: number,
  scaling: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  for (let i = begin * 4; i < end * 4; i++) {
    for (let j = 0; j < K; j++) {
      const at = paneled(i, j, K);
      merged[at] = weightAt(values, at, dtype) + (i < M ? scaling * sum(rank, (k) => up![i * rank + k]! * downT![j * rank + k]!) : 0);
    }
  }
}

/** Padding rows of the last panel stay as they are. */
export function snapDense(
  merged: Float64Array,
  scales: Float64Array,
  zeros: Float64Array,
  size: number,
  levels: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  for (let i = begin * 4; i < Math.min(end * 4, M); i++) {
    for (let j = 0; j < K; j++) {
      const [at, group] = [paneled(i, j, K), i * Math.ceil(K / size) + Math.floor(j / size)];
      merged[at] = nearestPoint(merged[at]!, scales[group]!, zeros[group]!, levels);
    }
  }
}

/** Padding rows of the last panel become 0. */
export function sddmmDense(
  dw: Float64Array,
  init: Maybe,
  dy: Float64Array,
  x: Float64Array,
  features: number,
  M: number,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  for (let i = begin * 4; i < end * 4; i++) {
    for (let j = 0; j < K; j++) {
      const at = paneled(i, j, K);
      dw[at] = i < M ? (init ? init[at]! : 0) + sum(tiles, (t) => dotFeature(dy, feature(t, i, features), x, feature(t, j, K))) : 0;
    }
  }
}

/** dUp += s H down', for panels. */
export function upGradDense(
  dUp: Float64Array,
  h: Float64Array,
  downT: Float64Array,
  rank: number,
  scaling: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  for (let i = begin * 4; i < Math.min(end * 4, M); i++) {
    for (let k = 0; k < rank; k++) dUp[i * rank + k]! += scaling * sum(K, (j) => h[paneled(i, j, K)]! * downT[j * rank + k]!);
  }
}

/** dDownT += s H' up, for inputs. */
export function downGradDense(
  dDownT: Float64Array,
  h: Float64Array,
  up: Float64Array,
  rank: number,
  scaling: number,
  M: number,
  K: number,
  begin: number,
  end: number,
): void {
  for (let j = begin; j < end; j++) {
    for (let k = 0; k < rank; k++) dDownT[j * rank + k]! += scaling * sum(M, (i) => h[paneled(i, j, K)]! * up[i * rank + k]!);
  }
}

/** One token's features side by side. Rows that pad the last panel are not there. */
export function gemv(
  y: Float64Array,
  init: Maybe,
  x: Float64Array,
  values: Packed,
  dtype: number,
  M: number,
  K: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  for (let i = begin * 4; i < Math.min(end * 4, M); i++) {
    y[i] = (init ? init[i]! : 0) + sum(K, (j) => weightAt(values, paneled(i, j, K), dtype) * x[j]!);
  }
}
