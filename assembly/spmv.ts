// Products with the vector of one token: a step of generation. Nothing is splatted over 16 tokens here; weights are read
// once, as they are stored, and memory is the bound.
//
//   spmv  y = W x      x [K], y [M] f32, features side by side; W as in quad.ts and csr.ts
//
// Work splits by who owns a row of y: blocks of rows (quads), or rows (CSR).
import { HEAD, blockRowsOf, ceilShift, endAt, patternAt } from './quad';
import { COLUMNS_SHIFT, columnBlocks } from './csr';
import { BF16, F16, F32, factorOf, madd, maskOf, start, sum, sums4, upper, weightAt, weights4, widened } from './lanes';

/** y = (init or 0) + W x, for blocks of rows [begin, end). Values of 16 bits are unpacked to the scratch a group at a time. */
export function spmvQuad(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, starts: usize, index: usize, M: usize, K: usize, scratch: usize,
  begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), blockRows = blockRowsOf(M);
  for (let b = begin; b < end; b++) {
    const at = b * blockRows << 2, o = y + at;
    start(o, init ? init + at : 0, min(blockRows, M - b * blockRows) << 2);
    for (let g: usize = 0, s = starts + ((b * groups) << 3); g < groups; g++, s += 8) {
      const n = <usize>load<u32>(s, 4);
      if (dtype == BF16) unpackBF16(scratch, values, n, <usize>load<u32>(s, 12), dtype - BF16);
      else if (dtype == F16) unpackF16(scratch, values, n, <usize>load<u32>(s, 12), dtype - F16);
      addGroup(o, x + (g << 4), dtype == F32 ? values + (n << 2) : scratch, index + <usize>load<u32>(s), index + <usize>load<u32>(s, 8));
    }
  }
}

function unpackBF16(to: usize, values: usize, n: usize, last: usize, zero: i32): void {
  unpack(BF16, zero, to, values, n, last);
}

function unpackF16(to: usize, values: usize, n: usize, last: usize, zero: i32): void {
  unpack(F16, zero, to, values, n, last);
}

/** Values n to last as f32. `zero`: see maskOf. */
@inline
function unpack(dtype: i32, zero: i32, to: usize, values: usize, n: usize, last: usize): void {
  const mask = maskOf(dtype, zero), factor = factorOf(zero);
  for (; n + 4 <= last; n += 4, to += 16) v128.store(to, widened(v128.load_ext<u16>(values + (n << 1)), dtype, mask, factor));
  for (; n < last; n++, to += 4) store<f32>(to, weightAt(values, n, dtype));
}

/** Adds the products of a group's four inputs at x with the values at v that the index from i to stop lists. */
function addGroup(y: usize, x: usize, v: usize, i: usize, stop: usize): void {
  while (i < stop) {
    let pattern = patternAt(i);
    const last = endAt(i);
    i += HEAD;
    const a = load<f32>(x + (<usize>ctz(pattern) << 2));
    pattern &= pattern - 1;
    if (!pattern) {
      const va = f32x4.splat(a);
      for (; i + 4 <= last; i += 4, v += 16) add4(y, i, f32x4.mul(v128.load(v), va));
      for (; i < last; i++, v += 4) add1(y, i, load<f32>(v) * a);
      continue;
    }
    const b = load<f32>(x + (<usize>ctz(pattern) << 2));
    pattern &= pattern - 1;
    if (!pattern) {
      const va = f32x4.splat(a), vb = f32x4.splat(b);
      for (; i + 4 <= last; i += 4, v += 32) {
        const w = v128.load(v), u = v128.load(v, 16);
        add4(y, i, madd(v128.shuffle<f32>(w, u, 1, 3, 5, 7), vb, f32x4.mul(v128.shuffle<f32>(w, u, 0, 2, 4, 6), va)));
      }
      for (; i < last; i++, v += 8) add1(y, i, load<f32>(v) * a + load<f32>(v, 4) * b);
      continue;
    }
    const c = load<f32>(x + (<usize>ctz(pattern) << 2));
    pattern &= pattern - 1;
    if (!pattern) {
      // A row's vector has the next row's first value in its last lane, times 0: the bucket's last row goes alone.
      const quad = f32x4(a, b, c, 0);
      for (; i + 5 <= last; i += 4, v += 48) add4(y, i, rows4(v, 12, quad));
      for (; i < last; i++, v += 12) add1(y, i, load<f32>(v) * a + load<f32>(v, 4) * b + load<f32>(v, 8) * c);
      continue;
    }
    const quad = v128.load(x);
    for (; i + 4 <= last; i += 4, v += 64) add4(y, i, rows4(v, 16, quad));
    for (; i < last; i++, v += 16) add1(y, i, sum(f32x4.mul(v128.load(v), quad)));
  }
}

/** Sums over the inputs of `quad` for four rows, `stride` bytes apart. */
@inline
function rows4(v: usize, stride: usize, quad: v128): v128 {
  return sums4(
    f32x4.mul(v128.load(v), quad),
    f32x4.mul(v128.load(v + stride), quad),
    f32x4.mul(v128.load(v + 2 * stride), quad),
    f32x4.mul(v128.load(v + 3 * stride), quad),
  );
}

/** Adds to the row of the block at y that is listed at i. */
@inline
function add1(y: usize, i: usize, s: f32): void {
  const p = y + (<usize>load<u8>(i) << 2);
  store<f32>(p, load<f32>(p) + s);
}

/** The same for the next four rows. */
@inline
function add4(y: usize, i: usize, s: v128): void {
  add1(y, i, f32x4.extract_lane(s, 0));
  add1(y, i + 1, f32x4.extract_lane(s, 1));
  add1(y, i + 2, f32x4.extract_lane(s, 2));
  add1(y, i + 3, f32x4.extract_lane(s, 3));
}

/** y = (init or 0) + W x, for rows [begin, end). */
export function spmvCsr(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  start(y + (begin << 2), init ? init + (begin << 2) : 0, (end - begin) << 2);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + ((b * (M + 1)) << 2), xb = x + (b << (COLUMNS_SHIFT + 2));
    if (dtype == F32) rowsF32(y, xb, values, rows, index, begin, end);
    else if (dtype == BF16) rowsBF16(y, xb, values, rows, index, dtype - BF16, begin, end);
    else rowsF16(y, xb, values, rows, index, dtype - F16, begin, end);
  }
}

function rowsF32(y: usize, x: usize, values: usize, rows: usize, index: usize, begin: usize, end: usize): void {
  rowsOf(F32, 0, y, x, values, rows, index, begin, end);
}

function rowsBF16(y: usize, x: usize, values: usize, rows: usize, index: usize, zero: i32, begin: usize, end: usize): void {
  rowsOf(BF16, zero, y, x, values, rows, index, begin, end);
}

function rowsF16(y: usize, x: usize, values: usize, rows: usize, index: usize, zero: i32, begin: usize, end: usize): void {
  rowsOf(F16, zero, y, x, values, rows, index, begin, end);
}

/** `zero`: see maskOf. */
@inline
function rowsOf(dtype: i32, zero: i32, y: usize, x: usize, values: usize, rows: usize, index: usize, begin: usize, end: usize): void {
  const mask = maskOf(dtype, zero), factor = factorOf(zero);
  let n = <usize>load<u32>(rows + (begin << 2));
  for (let r = begin; r < end; r++) {
    const last = <usize>load<u32>(rows + (r << 2), 4), o = y + (r << 2);
    // Two sums, so that a multiply-add seldom waits for the one before it.
    let acc = f32x4.splat(0), other = acc;
    for (; n + 8 <= last; n += 8) {
      const i = index + n;
      if (dtype == F32) {
        acc = madd(weights4(values, n, dtype), inputs4(x, i), acc);
        other = madd(weights4(values, n + 4, dtype), inputs4(x, i + 4), other);
      } else {
        // Every second value is the lower half of a lane, every other the upper one.
        const bits = v128.load(values + (n << 1));
        acc = madd(widened(bits, dtype, mask, factor), everySecond(x, i), acc);
        other = madd(upper(bits, dtype, mask, factor), everySecond(x, i + 1), other);
      }
    }
    if (n + 4 <= last) {
      acc = madd(weights4(values, n, dtype), inputs4(x, index + n), acc);
      n += 4;
    }
    let rest: f32 = 0;
    for (; n < last; n++) rest += weightAt(values, n, dtype) * load<f32>(x + (<usize>load<u8>(index + n) << 2));
    store<f32>(o, load<f32>(o) + (sum(f32x4.add(acc, other)) + rest));
  }
}

/** The inputs that every second value of the next seven stands at. */
@inline
function everySecond(x: usize, i: usize): v128 {
  let v = v128.load32_zero(x + (<usize>load<u8>(i) << 2));
  v = v128.load32_lane(x + (<usize>load<u8>(i, 2) << 2), v, 1);
  v = v128.load32_lane(x + (<usize>load<u8>(i, 4) << 2), v, 2);
  return v128.load32_lane(x + (<usize>load<u8>(i, 6) << 2), v, 3);
}

/** The inputs that the next four values of the index stand at. */
@inline
function inputs4(x: usize, i: usize): v128 {
  let v = v128.load32_zero(x + (<usize>load<u8>(i) << 2));
  v = v128.load32_lane(x + (<usize>load<u8>(i, 1) << 2), v, 1);
  v = v128.load32_lane(x + (<usize>load<u8>(i, 2) << 2), v, 2);
  return v128.load32_lane(x + (<usize>load<u8>(i, 3) << 2), v, 3);
}
