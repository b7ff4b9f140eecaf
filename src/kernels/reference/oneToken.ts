/** Oracles of what stands between the products when one token goes through the model: its features are side by side. */
import type { Packed } from './layout.ts';
import { paneled, sum, tiled, weightAt } from './layout.ts';

export function embedToken(x: Float64Array, table: Packed, dtype: number, ids: Uint32Array, K: number, begin: number, end: number): void {
  for (let k = begin; k < end; k++) x[k] = weightAt(table, paneled(ids[0]!, k, K), dtype);
}

export function rmsNormToken(
  y: Float64Array,
  x: Float64Array,
  gain: Float64Array,
  K: number,
  eps: number,
  begin: number,
  end: number,
): void {
  if (begin === end) return;
  const rstd = 1 / Math.sqrt(sum(K, (k) => x[k]! ** 2) / K + eps);
  for (let k = 0; k < K; k++) y[k] = gain[k]! * x[k]! * rstd;
}

/** (x1 + i x2) e^(i angle); y may be x. */
export function ropeToken(
  y: Float64Array,
  x: Float64Array,
  cosTable: Float64Array,
  sinTable: Float64Array,
  positions: Uint32Array,
  half: number,
  begin: number,
  end: number,
): void {
  for (let h = begin; h < end; h++) {
    for (let d = 0; d < half; d++) {
      const at = h * 2 * half + d;
      const [x1, x2, c, s] = [x[at]!, x[at + half]!, cosTable[positions[0]! * half + d]!, sinTable[positions[0]! * half + d]!];
      y[at] = x1 * c - x2 * s;
      y[at + half] = x2 * c + x1 * s;
    }
  }
}

export function storeToken(cache: Float64Array, x: Float64Array, slots: Uint32Array, K: number, begin: number, end: number): void {
  for (let k = begin; k < end; k++) cache[tiled(slots[0]!, k, K)] = x[k]!;
}

/** o = softmax(scaling q'K) V over the keys 0 .. last. */
export function attentionToken(
  o: Float64Array,
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  last: Uint32Array,
  heads: number,
  kvHeads: number,
  D: number,
  scaling: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  for (let h = begin; h < end; h++) {
    const keyAt = (j: number, d: number): number => tiled(j, Math.floor(h / (heads / kvHeads)) * D + d, kvHeads * D);
    const scores = Array.from({ length: last[0]! + 1 }, (_, j) => scaling * sum(D, (d) => q[h * D + d]! * k[keyAt(j, d)]!));
    const m = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = sum(scores.length, (j) => Math.exp(scores[j]! - m));
    for (let d = 0; d < D; d++) o[h * D + d] = sum(scores.length, (j) => (Math.exp(scores[j]! - m) / total) * v[keyAt(j, d)]!);
  }
}
