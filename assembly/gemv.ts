// A dense weight in panels of four rows (dense.ts) times the vector of one token: the lanes are a panel's rows.
//
// Panels are read one after another, as one stream: four at once share each input, but lose a third of the bandwidth.
// Eight sums a panel hide the adder's latency.
import { BF16, F16, F32, factorOf, madd, maskOf, upper, weights4, widened } from './lanes';

/** y = (init or 0) + W x, for panels [begin, end). y: [M]; x: [K]. */
export function gemv(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, M: usize, K: usize, begin: usize, end: usize,
): void {
  for (let p = begin; p < end; p++) {
    const w = values + (p * K << (dtype == F32 ? 4 : 3));
    finish(y, init, p, M, dtype == F32 ? panelF32(x, w, K) : dtype == BF16 ? panelBF16(x, w, K, dtype - BF16) : panelF16(x, w, K, dtype - F16));
  }
}

function panelF32(x: usize, w: usize, K: usize): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (const last = x + ((K & ~7) << 2); x < last; x += 32, w += 128) {
    a = madd(v128.load(w), v128.load32_splat(x), a);
    b = madd(v128.load(w, 16), v128.load32_splat(x, 4), b);
    c = madd(v128.load(w, 32), v128.load32_splat(x, 8), c);
    d = madd(v128.load(w, 48), v128.load32_splat(x, 12), d);
    e = madd(v128.load(w, 64), v128.load32_splat(x, 16), e);
    f = madd(v128.load(w, 80), v128.load32_splat(x, 20), f);
    g = madd(v128.load(w, 96), v128.load32_splat(x, 24), g);
    h = madd(v128.load(w, 112), v128.load32_splat(x, 28), h);
  }
  for (const last = x + ((K & 7) << 2); x < last; x += 4, w += 16) a = madd(v128.load(w), v128.load32_splat(x), a);
  return f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(g, h)));
}

function panelBF16(x: usize, w: usize, K: usize, zero: i32): v128 {
  return panelHalf(BF16, zero, x, w, K);
}

function panelF16(x: usize, w: usize, K: usize, zero: i32): v128 {
  return panelHalf(F16, zero, x, w, K);
}

/** A vector has two inputs of the panel: rows 0 and 2 are lower halves of lanes, 1 and 3 the upper ones. `zero`: see maskOf. */
@inline
function panelHalf(dtype: i32, zero: i32, x: usize, w: usize, K: usize): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  const mask = maskOf(dtype, zero), factor = factorOf(zero);
  for (const last = x + ((K & ~7) << 2); x < last; x += 32, w += 64) {
    let bits = v128.load(w), xs = twice(v128.load64_splat(x));
    a = madd(widened(bits, dtype, mask, factor), xs, a);
    b = madd(upper(bits, dtype, mask, factor), xs, b);
    bits = v128.load(w, 16), xs = twice(v128.load64_splat(x, 8));
    c = madd(widened(bits, dtype, mask, factor), xs, c);
    d = madd(upper(bits, dtype, mask, factor), xs, d);
    bits = v128.load(w, 32), xs = twice(v128.load64_splat(x, 16));
    e = madd(widened(bits, dtype, mask, factor), xs, e);
    f = madd(upper(bits, dtype, mask, factor), xs, f);
    bits = v128.load(w, 48), xs = twice(v128.load64_splat(x, 24));
    g = madd(widened(bits, dtype, mask, factor), xs, g);
    h = madd(upper(bits, dtype, mask, factor), xs, h);
  }
  const low = f32x4.add(f32x4.add(a, c), f32x4.add(e, g)), high = f32x4.add(f32x4.add(b, d), f32x4.add(f, h));
  let s = f32x4.add(v128.shuffle<f32>(low, high, 0, 4, 1, 5), v128.shuffle<f32>(low, high, 2, 6, 3, 7));
  for (const last = x + ((K & 7) << 2); x < last; x += 4, w += 8) s = madd(weights4(w, 0, dtype), v128.load32_splat(x), s);
  return s;
}

/** [x0, x0, x1, x1] of a pair that is there twice. */
@inline
function twice(x: v128): v128 {
  return v128.shuffle<f32>(x, x, 0, 0, 1, 1);
}

/** Writes the rows of panel p that are there. */
@inline
function finish(y: usize, init: usize, p: usize, M: usize, s: v128): void {
  const o = y + (p << 4), from = init + (p << 4), rows = M - (p << 2);
  if (rows >= 4) {
    v128.store(o, init ? f32x4.add(v128.load(from), s) : s);
    return;
  }
  store<f32>(o, f32x4.extract_lane(s, 0) + (init ? load<f32>(from) : 0));
  if (rows > 1) store<f32>(o, f32x4.extract_lane(s, 1) + (init ? load<f32>(from, 4) : 0), 4);
  if (rows > 2) store<f32>(o, f32x4.extract_lane(s, 2) + (init ? load<f32>(from, 8) : 0), 8);
}
