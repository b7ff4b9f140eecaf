/**
 * Oracles of the dense products: W in panels of four rows, which may be a band of a larger one of `features` rows. Units are twelve rows,
 * forward, or twelve inputs, backward.
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
  const [first, last] = [begin * 12, Math.min(M, end * 12)];
  for (let t = 0; t < tiles; t++) {
    start(y, init, feature(t, first, features), feature(t, last, features));
    for (let i = first; i < last; i++) {
      for (let j = 0; j < K; j++) addFeature(y, feature(t, i, features), w[paneled(i, j, K)]!, x, feature(t, j, K));
    }
  }
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
  const [first, last] = [begin * 12, Math.min(K, end * 12)];
  for (let t = 0; t < tiles; t++) {
    start(dx, init, feature(t, first, K), feature(t, last, K));
    for (let i = 0; i < M; i++) {
      for (let j = first; j < last; j++) addFeature(dx, feature(t, j, K), w[paneled(i, j, K)]!, dy, feature(t, i, features));
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
