/** Oracles of what the multiplicative adapters need beside the additive ones' kernels. */
import { CHUNK } from '../table.ts';
import type { Packed } from './layout.ts';
import { weightAt } from './layout.ts';

/** merged = W + W * merged, for chunks of the n values. */
export function modulate(merged: Float64Array, values: Packed, dtype: number, n: number, begin: number, end: number): void {
  for (let i = begin * CHUNK; i < Math.min(end * CHUNK, n); i++) merged[i] = weightAt(values, i, dtype) * (1 + merged[i]!);
}

/** h = h * W, for chunks of the n values. */
export function timesValues(h: Float64Array, values: Packed, dtype: number, n: number, begin: number, end: number): void {
  for (let i = begin * CHUNK; i < Math.min(end * CHUNK, n); i++) h[i]! *= weightAt(values, i, dtype);
}

/** up[i, k] = q[i] where k = floor(i / repeats), else 0, for rows. */
export function spreadRows(up: Float64Array, q: Float64Array, rank: number, repeats: number, begin: number, end: number): void {
  for (let i = begin; i < end; i++) {
    for (let k = 0; k < rank; k++) up[i * rank + k] = k === Math.floor(i / repeats) ? q[i]! : 0;
  }
}

/** dq[i] += dUp[i, floor(i / repeats)], for rows. */
export function gatherRows(dq: Float64Array, dUp: Float64Array, rank: number, repeats: number, begin: number, end: number): void {
  for (let i = begin; i < end; i++) dq[i]! += dUp[i * rank + Math.floor(i / repeats)]!;
}
