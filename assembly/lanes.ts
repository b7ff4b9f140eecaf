// The vocabulary of the kernels, and the only file that knows the SIMD flavour.
//
// Activations are token-tiled and feature-major: X is [tiles][features][16 tokens] f32, so one feature of one tile is
// 64 bytes: four vectors, one cache line. A weight is splatted; tokens are the lanes.

/** Tokens in a tile. */
export const TILE: usize = 16;
/** Shift from a feature to its bytes in a tile: 16 tokens of f32. */
export const FEATURE_SHIFT: usize = 6;
/** Element types of packed weights. */
export const F32: i32 = 0;
export const F16: i32 = 1;
export const BF16: i32 = 2;

/**
 * Whether CSR's loop over two tiles ends between them, where V8 needs a way out in any case, or has one there that is never taken and
 * ends after both. Measured: the first is 0 to 2 % faster in the relaxed build; the second 12 to 14 % on Node 20, which else
 * spills two sums a turn.
 */
export const ENDS_BETWEEN_TILES: bool = ASC_FEATURE_RELAXED_SIMD;

/**
 * Whether loads come before stores, so that V8 can pair neighbouring vectors to wider ones: the wide build. The other builds are 4 to
 * 6 % faster with loads and stores in turn.
 */
export const LOADS_FIRST: bool = isDefined(WIDE);

/** Whether a dense tile has six rows: where a multiply-add is one instruction, its sums and operands fit the registers. */
export const SIX_ROWS: bool = ASC_FEATURE_RELAXED_SIMD;
/** Whether a panel of 16-bit weights has eight sums instead of four, for the same reason. */
export const EIGHT_SUMS: bool = ASC_FEATURE_RELAXED_SIMD;

/**
 * Whether V8 pairs vectors to wider ones: half as many registers hold the same sums, so that twice as many fit. It pairs two that are
 * neighbours in memory; of those that a loop stores the upper one comes first, since in memory's order V8 stores the lower one twice, by
 * itself and in the pair.
 */
export const WIDE_LANES: bool = isDefined(WIDE);

/** a * b + c: one rounding where the build has relaxed SIMD on fused hardware, two otherwise. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/** The float at p in every lane. At a constant offset say v128.load32_splat(p, offset): asc folds no addition into it. */
@inline
export function splatAt(p: usize): v128 {
  return v128.load32_splat(p);
}

/** [sum a, sum b, sum c, sum d]: four horizontal sums for the price of a transpose. */
@inline
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Sum of the four lanes, in the order of sums4. */
@inline
export function sum(a: v128): f32 {
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 2) + (f32x4.extract_lane(a, 1) + f32x4.extract_lane(a, 3));
}

/** Sum of 16 products of two 64-byte features. */
@inline
export function dotTile(a: usize, b: usize, acc: v128): v128 {
  acc = madd(v128.load(a), v128.load(b), acc);
  acc = madd(v128.load(a, 16), v128.load(b, 16), acc);
  acc = madd(v128.load(a, 32), v128.load(b, 32), acc);
  return madd(v128.load(a, 48), v128.load(b, 48), acc);
}

/** Element i of packed weights as f32; f16 and bf16 convert exactly (weights are finite). */
@inline
export function weightAt(values: usize, i: usize, dtype: i32): f32 {
  if (dtype == F32) return load<f32>(values + (i << 2));
  const bits = <u32>load<u16>(values + (i << 1));
  if (dtype == BF16) return reinterpret<f32>(bits << 16);
  // Exponent and fraction moved into place are the value times 2^-112, subnormals included. The shift copies the sign
  // over the top of the exponent, where the mask leaves only the first.
  return reinterpret<f32>(((<i32>(bits << 16)) >> 3) & 0x8fffe000) * reinterpret<f32>(0x77800000);
}

/** Elements i .. i + 3 of packed weights. */
@inline
export function weights4(values: usize, i: usize, dtype: i32): v128 {
  if (dtype == F32) return v128.load(values + (i << 2));
  return widened(v128.load_ext<u16>(values + (i << 1)), dtype, maskOf(dtype, 0), factorOf(0));
}

/** Four f16 or bf16, each in the lower half of a lane, as f32, by maskOf and factorOf. */
@inline
export function widened(bits: v128, dtype: i32, mask: v128, factor: v128): v128 {
  if (dtype == BF16) return lowerBiased(bits, BF16, mask);
  return f32x4.mul(lowerBiased(bits, F16, mask), factor);
}

/** Four f16 or bf16, each in the upper half of a lane, as f32, by maskOf and factorOf; what is in the lower halves does not matter. */
@inline
export function upper(bits: v128, dtype: i32, mask: v128, factor: v128): v128 {
  if (dtype == BF16) return upperBiased(bits, BF16, mask);
  return f32x4.mul(upperBiased(bits, F16, mask), factor);
}

/** As widened, with f16's own bias still: the value times 2^-112 (as in weightAt). */
@inline
export function lowerBiased(bits: v128, dtype: i32, mask: v128): v128 {
  const up = i32x4.shl(bits, 16);
  return dtype == BF16 ? up : upperBiased(up, dtype, mask);
}

/** As upper, with f16's own bias still. */
@inline
export function upperBiased(bits: v128, dtype: i32, mask: v128): v128 {
  return v128.and(dtype == BF16 ? bits : i32x4.shr_s(bits, 3), mask);
}

/**
 * For loops over many, made before the loop. `zero` is 0, and there the compiler must not know it: V8 makes a constant anew in every turn,
 * in three instructions, which made f16 weights a third slower.
 */
@inline
export function maskOf(dtype: i32, zero: i32): v128 {
  return i32x4.splat((dtype == BF16 ? 0xffff0000 : 0x8fffe000) + zero);
}

@inline
export function factorOf(zero: i32): v128 {
  return i32x4.splat(0x77800000 + zero);
}

/** Four dot products of n floats (n a multiple of 4): [u0 . d0, u1 . d1, u2 . d2, u3 . d3]. */
@inline
export function dots4(u0: usize, d0: usize, u1: usize, d1: usize, u2: usize, d2: usize, u3: usize, d3: usize, n: usize): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (let k: usize = 0; k < n << 2; k += 16) {
    a = madd(v128.load(u0 + k), v128.load(d0 + k), a);
    b = madd(v128.load(u1 + k), v128.load(d1 + k), b);
    c = madd(v128.load(u2 + k), v128.load(d2 + k), c);
    d = madd(v128.load(u3 + k), v128.load(d3 + k), d);
  }
  return sums4(a, b, c, d);
}

/** Dot product of n floats, added up as dots4 does. */
@inline
export function dot(u: usize, d: usize, n: usize): f32 {
  let a = f32x4.splat(0);
  for (let k: usize = 0; k < n << 2; k += 16) a = madd(v128.load(u + k), v128.load(d + k), a);
  return sum(a);
}

/** Starts an output region: zeros, or a copy of `init` (nothing to do where it is the output itself). */
export function start(out: usize, init: usize, bytes: usize): void {
  if (init == 0) memory.fill(out, 0, bytes);
  else if (init != out) memory.copy(out, init, bytes);
}

/** Reads a byte of each of so many features of a tile, in the order of memory: what reads them in no order would wait for each that is not in the caches. */
export function fetchFeatures(x: usize, count: usize): void {
  for (const last = x + (count << FEATURE_SHIFT); x < last; x += 64) load<u8>(x);
}
