// What the multiplicative adapters need beside the kernels of the additive ones, for every format alike:
//
//   HiRA   W~ = W * (1 + s up downT')                               (elementwise on the pattern)
//   SPP    the same with up[i][k] = q[i] where k = i / (M / r), else 0: row k of P serves M / r rows of W
//
// The update s up downT' is merged into zeros (mergeQuad and its like with no values), then modulates the values; the
// sampled gradient H times W is what the factor gradients start from. Both walk the values, not the pattern.
import { madd, weightAt, weights4 } from './lanes';

/** merged = W + W * merged, for chunks [begin, end) of 256 of the n values. */
export function modulate(merged: usize, values: usize, dtype: i32, n: usize, begin: usize, end: usize): void {
  const last = min(end << 8, n);
  let i = begin << 8;
  for (; i + 4 <= last; i += 4) {
    const w = weights4(values, i, dtype), o = merged + (i << 2);
    v128.store(o, madd(w, v128.load(o), w));
  }
  for (; i < last; i++) {
    const w = weightAt(values, i, dtype), o = merged + (i << 2);
    store<f32>(o, w + w * load<f32>(o));
  }
}

/** h = h * W, for chunks [begin, end) of 256 of the n values. */
export function timesValues(h: usize, values: usize, dtype: i32, n: usize, begin: usize, end: usize): void {
  const last = min(end << 8, n);
  let i = begin << 8;
  for (; i + 4 <= last; i += 4) {
    const o = h + (i << 2);
    v128.store(o, f32x4.mul(v128.load(o), weights4(values, i, dtype)));
  }
  for (; i < last; i++) store<f32>(h + (i << 2), load<f32>(h + (i << 2)) * weightAt(values, i, dtype));
}

/** up[i] = q[i] at rank i / repeats, else 0, for rows [begin, end). up: [M][r]; q: [M]; r padded to a multiple of 4. */
export function spreadRows(up: usize, q: usize, rank: usize, repeats: usize, begin: usize, end: usize): void {
  memory.fill(up + begin * (rank << 2), 0, (end - begin) * (rank << 2));
  for (let i = begin; i < end; i++) store<f32>(up + ((i * rank + i / repeats) << 2), load<f32>(q + (i << 2)));
}

/** dq[i] += dUp[i] at rank i / repeats, for rows [begin, end). dUp: [M][r]. */
export function gatherRows(dq: usize, dUp: usize, rank: usize, repeats: usize, begin: usize, end: usize): void {
  for (let i = begin; i < end; i++) {
    const o = dq + (i << 2);
    store<f32>(o, load<f32>(o) + load<f32>(dUp + ((i * rank + i / repeats) << 2)));
  }
}
