// A dense weight in panels of four rows (dense.ts) times the vector of one token: the lanes are a panel's rows.
//
// Panels are read one after another, as one stream: four at once share each input, but lose a third of the bandwidth.
// Four or eight sums a panel hide the adder's latency.
import { BF16, EIGHT_SUMS, F16, F32, lowerBiased, madd, maskOf, upperBiased } from './lanes';

/** Inputs that the scratch has room for: those of a larger matrix come in turns. */
const TURN: usize = 30720;
/** What f16's exponents lack of f32's bias is half in the inputs, half in the sum, so that neither is too large or too small for f32. */
const HALF_BIAS: f32 = 72057594037927936;

/** y = (init or 0) + W x, for panels [begin, end). y: [M]; x: [K]; scratch: 240 KiB. */
export function gemv(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, M: usize, K: usize, scratch: usize, begin: usize, end: usize,
): void {
  if (dtype == F32) {
    for (let p = begin; p < end; p++) finish(y, init, p, M, panelF32(x, values + (p * K << 4), K));
    return;
  }
  for (let k: usize = 0; k < K; k += TURN) {
    const n = min(TURN, K - k);
    spread(scratch, x + (k << 2), n, dtype == F16 ? HALF_BIAS : 1);
    for (let p = begin; p < end; p++) {
      const w = values + (p * K + k << 3);
      finish(y, k ? y : init, p, M, dtype == BF16 ? panelBF16(scratch, w, n, dtype - BF16) : panelF16(scratch, w, n, dtype - F16));
    }
  }
}

/** Every input twice, times `scale`: [x0, x0, x1, x1], as a vector of 16-bit weights has them. */
function spread(to: usize, x: usize, K: usize, scale: f32): void {
  const s = f32x4.splat(scale);
  for (const last = x + (K << 2); x < last; x += 8, to += 16) {
    const pair = x + 4 < last ? v128.load64_splat(x) : v128.load32_splat(x);
    v128.store(to, f32x4.mul(v128.shuffle<f32>(pair, pair, 0, 0, 1, 1), s));
  }
}

function panelF32(x: usize, w: usize, K: usize): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (const last = x + ((K & ~3) << 2); x < last; x += 16, w += 64) {
    a = madd(v128.load(w), v128.load32_splat(x), a);
    b = madd(v128.load(w, 16), v128.load32_splat(x, 4), b);
    c = madd(v128.load(w, 32), v128.load32_splat(x, 8), c);
    d = madd(v128.load(w, 48), v128.load32_splat(x, 12), d);
  }
  for (const last = x + ((K & 3) << 2); x < last; x += 4, w += 16) a = madd(v128.load(w), v128.load32_splat(x), a);
  return f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
}

function panelBF16(x: usize, w: usize, K: usize, zero: i32): v128 {
  return panelHalf(BF16, zero, x, w, K);
}

function panelF16(x: usize, w: usize, K: usize, zero: i32): v128 {
  return panelHalf(F16, zero, x, w, K);
}

/** A vector has two inputs of the panel: rows 0 and 2 are lower halves of lanes, 1 and 3 the upper ones. x as spread; `zero`: see maskOf. */
@inline
function panelHalf(dtype: i32, zero: i32, x: usize, w: usize, K: usize): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  const mask = maskOf(dtype, zero), last = w + (K << 3);
  for (; w + 64 <= last; x += 64, w += 64) {
    let bits = v128.load(w), xs = v128.load(x);
    a = madd(lowerBiased(bits, dtype, mask), xs, a);
    b = madd(upperBiased(bits, dtype, mask), xs, b);
    bits = v128.load(w, 16), xs = v128.load(x, 16);
    c = madd(lowerBiased(bits, dtype, mask), xs, c);
    d = madd(upperBiased(bits, dtype, mask), xs, d);
    bits = v128.load(w, 32), xs = v128.load(x, 32);
    if (EIGHT_SUMS) {
      e = madd(lowerBiased(bits, dtype, mask), xs, e);
      f = madd(upperBiased(bits, dtype, mask), xs, f);
    } else {
      a = madd(lowerBiased(bits, dtype, mask), xs, a);
      b = madd(upperBiased(bits, dtype, mask), xs, b);
    }
    bits = v128.load(w, 48), xs = v128.load(x, 48);
    if (EIGHT_SUMS) {
      g = madd(lowerBiased(bits, dtype, mask), xs, g);
      h = madd(upperBiased(bits, dtype, mask), xs, h);
    } else {
      c = madd(lowerBiased(bits, dtype, mask), xs, c);
      d = madd(upperBiased(bits, dtype, mask), xs, d);
    }
  }
  for (; w < last; x += 16, w += 16) {
    const bits = w + 16 <= last ? v128.load(w) : v128.load64_zero(w), xs = v128.load(x);
    a = madd(lowerBiased(bits, dtype, mask), xs, a);
    b = madd(upperBiased(bits, dtype, mask), xs, b);
  }
  const low = f32x4.add(f32x4.add(a, c), f32x4.add(e, g)), high = f32x4.add(f32x4.add(b, d), f32x4.add(f, h));
  const s = f32x4.add(v128.shuffle<f32>(low, high, 0, 4, 1, 5), v128.shuffle<f32>(low, high, 2, 6, 3, 7));
  return dtype == F16 ? f32x4.mul(s, f32x4.splat(HALF_BIAS)) : s;
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
