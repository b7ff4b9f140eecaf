/** Where an element stands in the buffers of the kernels: the one place where the oracles speak of layout. */
import { fromBf16, fromF16 } from '../../core/dtypes.ts';
import { DTYPE_CODE, TILE } from '../table.ts';

/** Values of a packed weight: numbers, or the bits of a 16-bit type. */
export type Packed = Float64Array | Uint16Array;
/** A buffer that may be absent: address 0 for a kernel. */
export type Maybe = Float64Array | null;

/** Feature k of a token in [tiles][features][16]. */
export function tiled(token: number, k: number, features: number): number {
  return (Math.floor(token / TILE) * features + k) * TILE + (token % TILE);
}

/** Where feature k of a whole tile begins: 16 tokens side by side. */
export function feature(tile: number, k: number, features: number): number {
  return (tile * features + k) * TILE;
}

const LANES: number = TILE;

/** out[token] += factor x[token] for the 16 tokens of two features. */
export function addFeature(out: Float64Array, at: number, factor: number, x: Float64Array, from: number): void {
  for (let lane = 0; lane < LANES; lane++) out[at + lane]! += factor * x[from + lane]!;
}

/** The sum over the 16 tokens of two features. */
export function dotFeature(a: Float64Array, i: number, b: Float64Array, j: number): number {
  let s = 0;
  for (let lane = 0; lane < LANES; lane++) s += a[i + lane]! * b[j + lane]!;
  return s;
}

/** Row i, column j of a dense matrix in panels: [ceil(M / 4)][K][4]. */
export function paneled(i: number, j: number, K: number): number {
  return (Math.floor(i / 4) * K + j) * 4 + (i % 4);
}

/** The value of element i of packed weights; 0 where there are none. */
export function weightAt(values: Packed | null, i: number, dtype: number): number {
  if (!values) return 0;
  if (dtype === DTYPE_CODE.F32) return values[i]!;
  return dtype === DTYPE_CODE.BF16 ? fromBf16(values[i]!) : fromF16(values[i]!);
}

/** out[from .. to) = init there, or 0. `init` may be `out`. */
export function start(out: Float64Array, init: Maybe, from: number, to: number): void {
  for (let i = from; i < to; i++) out[i] = init ? init[i]! : 0;
}

/** The sum of f(0) .. f(n - 1). */
export function sum(n: number, f: (i: number) => number): number {
  let s = 0;
  for (let i = 0; i < n; i++) s += f(i);
  return s;
}
