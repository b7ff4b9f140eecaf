// A dense weight in panels of four rows (dense.ts) times the vector of one token: the lanes are a panel's rows.
import { BF16, F16, F32, madd, weights4 } from './lanes';

/** y = (init or 0) + W x, for panels [begin, end). y: [M]; x: [K]. */
export function gemv(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, M: usize, K: usize, begin: usize, end: usize,
): void {
  if (dtype == F32) panelsF32(y, init, x, values, M, K, begin, end);
  else if (dtype == BF16) panelsBF16(y, init, x, values, M, K, begin, end);
  else panelsF16(y, init, x, values, M, K, begin, end);
}

function panelsF32(y: usize, init: usize, x: usize, values: usize, M: usize, K: usize, begin: usize, end: usize): void {
  panels(F32, y, init, x, values, M, K, begin, end);
}

function panelsBF16(y: usize, init: usize, x: usize, values: usize, M: usize, K: usize, begin: usize, end: usize): void {
  panels(BF16, y, init, x, values, M, K, begin, end);
}

function panelsF16(y: usize, init: usize, x: usize, values: usize, M: usize, K: usize, begin: usize, end: usize): void {
  panels(F16, y, init, x, values, M, K, begin, end);
}

/** Four panels a turn share each input, and each adds up even and odd inputs apart: eight sums hide the adder's latency. */
@inline
function panels(dtype: i32, y: usize, init: usize, x: usize, values: usize, M: usize, K: usize, begin: usize, end: usize): void {
  const zero = f32x4.splat(0), stride = K << 2, even = K & ~1;
  let p = begin;
  for (; p + 4 <= end; p += 4) {
    let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
    let n = p * stride;
    for (let k: usize = 0; k < even; k += 2, n += 8) {
      const x0 = v128.load32_splat(x + (k << 2)), x1 = v128.load32_splat(x + (k << 2), 4);
      a0 = madd(weights4(values, n, dtype), x0, a0);
      a1 = madd(weights4(values, n + 4, dtype), x1, a1);
      b0 = madd(weights4(values, n + stride, dtype), x0, b0);
      b1 = madd(weights4(values, n + stride + 4, dtype), x1, b1);
      c0 = madd(weights4(values, n + 2 * stride, dtype), x0, c0);
      c1 = madd(weights4(values, n + 2 * stride + 4, dtype), x1, c1);
      d0 = madd(weights4(values, n + 3 * stride, dtype), x0, d0);
      d1 = madd(weights4(values, n + 3 * stride + 4, dtype), x1, d1);
    }
    if (even < K) {
      const x0 = v128.load32_splat(x + (even << 2));
      a0 = madd(weights4(values, n, dtype), x0, a0);
      b0 = madd(weights4(values, n + stride, dtype), x0, b0);
      c0 = madd(weights4(values, n + 2 * stride, dtype), x0, c0);
      d0 = madd(weights4(values, n + 3 * stride, dtype), x0, d0);
    }
    finish(y, init, p, M, f32x4.add(a0, a1));
    finish(y, init, p + 1, M, f32x4.add(b0, b1));
    finish(y, init, p + 2, M, f32x4.add(c0, c1));
    finish(y, init, p + 3, M, f32x4.add(d0, d1));
  }
  for (; p < end; p++) {
    let a0 = zero, a1 = zero, n = p * stride;
    for (let k: usize = 0; k < even; k += 2, n += 8) {
      a0 = madd(weights4(values, n, dtype), v128.load32_splat(x + (k << 2)), a0);
      a1 = madd(weights4(values, n + 4, dtype), v128.load32_splat(x + (k << 2), 4), a1);
    }
    if (even < K) a0 = madd(weights4(values, n, dtype), v128.load32_splat(x + (even << 2)), a0);
    finish(y, init, p, M, f32x4.add(a0, a1));
  }
}

/** Writes the rows of panel p that are there. */
function finish(y: usize, init: usize, p: usize, M: usize, s: v128): void {
  const at = p << 4, rows = M - (p << 2);
  if (rows >= 4) {
    v128.store(y + at, init ? f32x4.add(v128.load(init + at), s) : s);
    return;
  }
  let last = f32x4.extract_lane(s, 0);
  for (let r: usize = 0; r < rows; r++) {
    store<f32>(y + at + (r << 2), (init ? load<f32>(init + at + (r << 2)) : 0) + last);
    last = r == 0 ? f32x4.extract_lane(s, 1) : f32x4.extract_lane(s, 2);
  }
}
