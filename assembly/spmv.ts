// Products with the vector of one token: a step of generation. Nothing is splatted over 16 tokens here; weights are read
// once, as they are stored, and memory is the bound.
//
//   spmv  y = W x      x [K], y [M] f32, features side by side; W as in quad.ts and csr.ts
//
// Work splits by who owns a row of y: blocks of 256 rows (quads), or rows (CSR).
import { BLOCK_ROWS, HEAD, ceilShift, endAt, patternAt } from './quad';
import { COLUMNS_SHIFT, columnBlocks } from './csr';
import { BF16, F16, F32, madd, start, sum, sums4, weightAt, upper, weights4, widened } from './lanes';

/** y = (init or 0) + W x, for blocks of rows [begin, end). */
export function spmvQuad(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2);
  for (let b = begin; b < end; b++) {
    const at = b * BLOCK_ROWS << 2, o = y + at, s = starts + ((b * groups) << 3);
    start(o, init ? init + at : 0, min(BLOCK_ROWS, M - b * BLOCK_ROWS) << 2);
    if (dtype == F32) blockF32(o, x, values, s, index, groups);
    else if (dtype == BF16) blockBF16(o, x, values, s, index, groups);
    else blockF16(o, x, values, s, index, groups);
  }
}

function blockF32(y: usize, x: usize, values: usize, s: usize, index: usize, groups: usize): void {
  block(F32, y, x, values, s, index, groups);
}

function blockBF16(y: usize, x: usize, values: usize, s: usize, index: usize, groups: usize): void {
  block(BF16, y, x, values, s, index, groups);
}

function blockF16(y: usize, x: usize, values: usize, s: usize, index: usize, groups: usize): void {
  block(F16, y, x, values, s, index, groups);
}

/** A block's groups one after another: their lists follow each other. */
@inline
function block(dtype: i32, y: usize, x: usize, values: usize, s: usize, index: usize, groups: usize): void {
  const shift: usize = dtype == F32 ? 2 : 1;
  let i = index + <usize>load<u32>(s), v = values + (<usize>load<u32>(s, 4) << shift);
  for (let g: usize = 0; g < groups; g++, s += 8, x += 16) {
    const stop = index + <usize>load<u32>(s, 8);
    while (i < stop) {
      let pattern = patternAt(i);
      const last = endAt(i);
      let p = y;
      i += HEAD;
      const a = load<f32>(x + (<usize>ctz(pattern) << 2));
      pattern &= pattern - 1;
      if (!pattern) {
        const va = f32x4.splat(a);
        for (; i + 4 <= last; i += 4, v += <usize>4 << shift) p = add4(p, i, f32x4.mul(weights4(v, 0, dtype), va));
        for (; i < last; i++, v += <usize>1 << shift) p = add1(p, i, weightAt(v, 0, dtype) * a);
        continue;
      }
      const b = load<f32>(x + (<usize>ctz(pattern) << 2));
      pattern &= pattern - 1;
      if (!pattern) {
        const va = f32x4.splat(a), vb = f32x4.splat(b);
        for (; i + 4 <= last; i += 4, v += <usize>8 << shift) p = add4(p, i, pairs(v, dtype, va, vb));
        for (; i < last; i++, v += <usize>2 << shift) p = add1(p, i, weightAt(v, 0, dtype) * a + weightAt(v, 1, dtype) * b);
        continue;
      }
      const c = load<f32>(x + (<usize>ctz(pattern) << 2));
      pattern &= pattern - 1;
      if (!pattern) {
        // A row's vector has the next row's first value in its last lane, times 0: the bucket's last row goes alone.
        const quad = f32x4(a, b, c, 0);
        for (; i + 5 <= last; i += 4, v += <usize>12 << shift) p = add4(p, i, rows4(v, 3, dtype, quad));
        for (; i < last; i++, v += <usize>3 << shift) {
          p = add1(p, i, weightAt(v, 0, dtype) * a + weightAt(v, 1, dtype) * b + weightAt(v, 2, dtype) * c);
        }
        continue;
      }
      const quad = v128.load(x);
      for (; i + 4 <= last; i += 4, v += <usize>16 << shift) p = add4(p, i, rows4(v, 4, dtype, quad));
      for (; i < last; i++, v += <usize>4 << shift) p = add1(p, i, sum(f32x4.mul(weights4(v, 0, dtype), quad)));
    }
  }
}

/** a w0 + b w1 for four rows of two values each. */
@inline
function pairs(v: usize, dtype: i32, a: v128, b: v128): v128 {
  if (dtype == F32) {
    const p = v128.load(v), q = v128.load(v, 16);
    return madd(v128.shuffle<f32>(p, q, 1, 3, 5, 7), b, f32x4.mul(v128.shuffle<f32>(p, q, 0, 2, 4, 6), a));
  }
  // A row's two values are the halves of a lane.
  const bits = v128.load(v);
  return madd(upper(bits, dtype), b, f32x4.mul(widened(bits, dtype), a));
}

/** Sums over the inputs of `quad` for four rows of n values each. */
@inline
function rows4(v: usize, n: usize, dtype: i32, quad: v128): v128 {
  return sums4(
    f32x4.mul(weights4(v, 0, dtype), quad),
    f32x4.mul(weights4(v, n, dtype), quad),
    f32x4.mul(weights4(v, 2 * n, dtype), quad),
    f32x4.mul(weights4(v, 3 * n, dtype), quad),
  );
}

/** Adds to the row that the step at i leads to from p; returns where it is. */
@inline
function add1(p: usize, i: usize, s: f32): usize {
  p += <usize>load<u8>(i) << 2;
  store<f32>(p, load<f32>(p) + s);
  return p;
}

/** The same for the next four rows. */
@inline
function add4(p: usize, i: usize, s: v128): usize {
  p += <usize>load<u8>(i) << 2;
  store<f32>(p, load<f32>(p) + f32x4.extract_lane(s, 0));
  p += <usize>load<u8>(i, 1) << 2;
  store<f32>(p, load<f32>(p) + f32x4.extract_lane(s, 1));
  p += <usize>load<u8>(i, 2) << 2;
  store<f32>(p, load<f32>(p) + f32x4.extract_lane(s, 2));
  p += <usize>load<u8>(i, 3) << 2;
  store<f32>(p, load<f32>(p) + f32x4.extract_lane(s, 3));
  return p;
}

/** y = (init or 0) + W x, for rows [begin, end). */
export function spmvCsr(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  start(y + (begin << 2), init ? init + (begin << 2) : 0, (end - begin) << 2);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + ((b * (M + 1)) << 2), xb = x + (b << (COLUMNS_SHIFT + 2));
    if (dtype == F32) rowsF32(y, xb, values, rows, index, begin, end);
    else if (dtype == BF16) rowsBF16(y, xb, values, rows, index, begin, end);
    else rowsF16(y, xb, values, rows, index, begin, end);
  }
}

function rowsF32(y: usize, x: usize, values: usize, rows: usize, index: usize, begin: usize, end: usize): void {
  rowsOf(F32, y, x, values, rows, index, begin, end);
}

function rowsBF16(y: usize, x: usize, values: usize, rows: usize, index: usize, begin: usize, end: usize): void {
  rowsOf(BF16, y, x, values, rows, index, begin, end);
}

function rowsF16(y: usize, x: usize, values: usize, rows: usize, index: usize, begin: usize, end: usize): void {
  rowsOf(F16, y, x, values, rows, index, begin, end);
}

@inline
function rowsOf(dtype: i32, y: usize, x: usize, values: usize, rows: usize, index: usize, begin: usize, end: usize): void {
  let n = <usize>load<u32>(rows + (begin << 2));
  for (let r = begin; r < end; r++) {
    const last = <usize>load<u32>(rows + (r << 2), 4), o = y + (r << 2);
    // Two sums, so that a multiply-add seldom waits for the one before it.
    let acc = f32x4.splat(0), other = acc;
    for (; n + 8 <= last; n += 8) {
      acc = madd(weights4(values, n, dtype), inputs4(x, index + n), acc);
      other = madd(weights4(values, n + 4, dtype), inputs4(x, index + n + 4), other);
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

/** The inputs that the next four values of the index stand at. */
@inline
function inputs4(x: usize, i: usize): v128 {
  let v = v128.load32_zero(x + (<usize>load<u8>(i) << 2));
  v = v128.load32_lane(x + (<usize>load<u8>(i, 1) << 2), v, 1);
  v = v128.load32_lane(x + (<usize>load<u8>(i, 2) << 2), v, 2);
  return v128.load32_lane(x + (<usize>load<u8>(i, 3) << 2), v, 3);
}
