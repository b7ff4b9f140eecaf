// Elementary functions on four f32 lanes, by range reduction and a polynomial; no table, no data section.
import { WIDE_LANES, madd } from './lanes';

/** Bytes of a constant in a table. Where V8 pairs vectors it stands there twice: two neighbours are one load. */
const ENTRY: usize = WIDE_LANES ? 32 : 16;
/** Bytes of exp's table, the longer one. */
export const TABLE_BYTES: usize = 14 * ENTRY;
/** Where the upper of two neighbouring vectors has its constants, from the table's beginning. */
export const UPPER: usize = ENTRY - 16;

const HIGHEST: f32 = 88.0;
const LOWEST: f32 = -87.3;
/** Scores of attention are in powers of two, which are cheaper than those of e. */
export const LOG2E: f32 = 1.44269504088896341;
/** A number whose last bit is 1: what is added to it and taken away again is rounded to an integer, which stands in its low bits. */
const ROUNDER: f32 = 12582912;
/** -ln2 in two parts; the first has so few bits that its product with an exponent is exact. */
const LN2_HIGH: f32 = -0.693359375;
const LN2_LOW: f32 = 2.12194440e-4;
const C6: f32 = 1.9875691500e-4;
const C5: f32 = 1.3981999507e-3;
const C4: f32 = 8.3334519073e-3;
const C3: f32 = 4.1665795894e-2;
const C2: f32 = 1.6666665459e-1;
const C1: f32 = 5.0000001201e-1;
/** The exponent of 1. */
const BIAS: i32 = 127;

@inline
function put(table: usize, n: usize, constant: v128): void {
  v128.store(table + n * ENTRY, constant);
  if (WIDE_LANES) v128.store(table + n * ENTRY + 16, constant);
}

/**
 * Writes exp's constants to a table. A constant in the code is made anew wherever it is used (V8 of Node 24: three instructions
 * each, 60 of the 85 of an exponential); from a table it is one load. There is no data section to hold it.
 */
export function expTable(at: usize): void {
  put(at, 0, f32x4.splat(HIGHEST));
  put(at, 1, f32x4.splat(LOWEST));
  put(at, 2, f32x4.splat(LOG2E));
  put(at, 3, f32x4.splat(ROUNDER));
  put(at, 4, f32x4.splat(LN2_HIGH));
  put(at, 5, f32x4.splat(LN2_LOW));
  put(at, 6, f32x4.splat(C6));
  put(at, 7, f32x4.splat(C5));
  put(at, 8, f32x4.splat(C4));
  put(at, 9, f32x4.splat(C3));
  put(at, 10, f32x4.splat(C2));
  put(at, 11, f32x4.splat(C1));
  put(at, 12, f32x4.splat(1));
  put(at, 13, i32x4.splat(BIAS));
}

/**
 * exp(x), by expTable. At most 2 ULP off for x in [-87, 88]; exactly 0 below -87.3 (where f32 turns subnormal); x above 88 saturates; NaN
 * stays NaN.
 * x = n ln2 + r, |r| <= ln2 / 2, ln2 in two parts; a degree 6 polynomial (Cephes expf) times 2^n through the exponent.
 */
@inline
export function expBy(table: usize, x: v128): v128 {
  // pmin and pmax are an instruction each, min and max six or more; rounding by a number leaves n as a float and, in the low
  // bits, as an integer, where trunc_sat would take six.
  const lowest = v128.load(table, ENTRY), c = f32x4.pmax(f32x4.pmin(x, v128.load(table)), lowest);
  const rounder = v128.load(table, 3 * ENTRY), shifted = madd(c, v128.load(table, 2 * ENTRY), rounder);
  const n = f32x4.sub(shifted, rounder);
  const r = madd(n, v128.load(table, 5 * ENTRY), madd(n, v128.load(table, 4 * ENTRY), c));
  const s = f32x4.mul(r, r);
  const high = madd(v128.load(table, 6 * ENTRY), r, v128.load(table, 7 * ENTRY));
  const middle = madd(v128.load(table, 8 * ENTRY), r, v128.load(table, 9 * ENTRY));
  const low = madd(v128.load(table, 10 * ENTRY), r, v128.load(table, 11 * ENTRY));
  const p = madd(madd(madd(high, s, middle), s, low), s, f32x4.add(r, v128.load(table, 12 * ENTRY)));
  const scale = i32x4.shl(i32x4.add(shifted, v128.load(table, 13 * ENTRY)), 23);
  return v128.andnot(f32x4.mul(p, scale), f32x4.lt(x, lowest));
}

/**
 * log(x) for normal x > 0, at most 2 ULP off. x = 2^e m, m in [sqrt(1/2), sqrt 2); log(1 + f) by a degree 9 polynomial
 * (Cephes logf), e ln2 added in two parts.
 */
@inline
export function log(x: v128): v128 {
  const bits = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(bits, 23));
  const m = i32x4.add(v128.and(bits, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3));
  const f = f32x4.sub(m, f32x4.splat(1));
  const z = f32x4.mul(f, f);
  let p = f32x4.splat(7.0376836292e-2);
  p = madd(p, f, f32x4.splat(-1.1514610310e-1));
  p = madd(p, f, f32x4.splat(1.1676998740e-1));
  p = madd(p, f, f32x4.splat(-1.2420140846e-1));
  p = madd(p, f, f32x4.splat(1.4249322787e-1));
  p = madd(p, f, f32x4.splat(-1.6668057665e-1));
  p = madd(p, f, f32x4.splat(2.0000714765e-1));
  p = madd(p, f, f32x4.splat(-2.4999993993e-1));
  p = madd(p, f, f32x4.splat(3.3333331174e-1));
  let y = f32x4.mul(f32x4.mul(p, z), f);
  y = madd(e, f32x4.splat(-2.12194440e-4), y);
  y = f32x4.sub(y, f32x4.mul(z, f32x4.splat(0.5)));
  return madd(e, f32x4.splat(0.693359375), f32x4.add(f, y));
}

/** ROUNDER and the exponent of 1: what is rounded by it stands in the low bits as the exponent of a power of two. */
const ROUNDER_TO_EXPONENT: f32 = 12583039;

/** Writes exp2's constants to a table: see expTable. */
export function exp2Table(at: usize): void {
  put(at, 0, f32x4.splat(ROUNDER_TO_EXPONENT));
  put(at, 1, f32x4.splat(1.559467754900736e-4));
  put(at, 2, f32x4.splat(1.340664390501221e-3));
  put(at, 3, f32x4.splat(9.617692974894307e-3));
  put(at, 4, f32x4.splat(5.550310550995927e-2));
  put(at, 5, f32x4.splat(2.402265278287604e-1));
  put(at, 6, f32x4.splat(6.931472149680394e-1));
  put(at, 7, f32x4.splat(1));
  put(at, 8, f32x4.splat(-126));
}

/**
 * 2^x for x < 127.5, by exp2Table: at most 2 ULP off; exactly 0 below -126 (where f32 turns subnormal); NaN stays NaN.
 * x = n + f, |f| <= 1/2; the polynomial of degree 6 with the least relative error, 2.6e-9, times 2^n through the exponent. Two thirds of
 * the instructions of expBy: the reduction is exact, and nothing above is cut off.
 */
@inline
export function exp2By(table: usize, x: v128): v128 {
  const rounder = v128.load(table), shifted = f32x4.add(x, rounder);
  const f = f32x4.sub(x, f32x4.sub(shifted, rounder));
  const s = f32x4.mul(f, f);
  const high = madd(v128.load(table, 2 * ENTRY), f, v128.load(table, 3 * ENTRY));
  const middle = madd(v128.load(table, 4 * ENTRY), f, v128.load(table, 5 * ENTRY));
  const low = madd(v128.load(table, 6 * ENTRY), f, v128.load(table, 7 * ENTRY));
  const p = madd(madd(madd(v128.load(table, ENTRY), s, high), s, middle), s, low);
  return v128.andnot(f32x4.mul(p, i32x4.shl(shifted, 23)), f32x4.lt(x, v128.load(table, 8 * ENTRY)));
}

/** 1 / (1 + exp(-x)), by the table of exp. */
@inline
export function sigmoidBy(table: usize, x: v128): v128 {
  const one = v128.load(table, 12 * ENTRY);
  return f32x4.div(one, f32x4.add(one, expBy(table, f32x4.neg(x))));
}
