// Block-sparse weights (layout: block.ts) times the vector of one token: a step of generation, as spmv.ts.
//
//   spmv  y = W x      x [K], y [M] f32, features side by side
//
// The lanes are a panel's features: its outputs, whose sums stay in a register, or its inputs (1x4), summed across.
// Work splits by who owns a row of y: strips, or segments of 256 rows where strips are inputs.
import { ceilDiv, entryShift, listed, listedAt, segmentShift, stripOf, stripsAreInputs } from './block';
import { BF16, F16, F32, madd, splatAt, start, sum, sums4, weightAt, weights4 } from './lanes';

/** y = (init or 0) + W x, for strips, or segments of rows, [begin, end). */
export function spmvBlock(
  y: usize, init: usize, x: usize, values: usize, dtype: i32, starts: usize, index: usize,
  R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const across = stripsAreInputs(R), strip = stripOf(R, C), wide = entryShift(R, C), strips = ceilDiv(across ? K : M, strip);
  const unit = across ? <usize>1 << segmentShift(wide) : strip;
  const from = begin * unit, last = min(end * unit, M);
  if (from >= last) return;
  start(y + (from << 2), init ? init + (from << 2) : 0, (last - from) << 2);
  if (across) {
    for (let b = begin; b < end; b++) {
      const o = y + ((b * unit) << 2), segment = starts + ((b * strips) << 3);
      if (dtype == F32) rowsF32(o, x, K, values, segment, index);
      else if (dtype == BF16) rowsBF16(o, x, K, values, segment, index);
      else rowsF16(o, x, K, values, segment, index);
    }
    return;
  }
  for (let first: usize = 0, segment = starts; first < K; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
    const xs = x + (first << 2);
    for (let k = begin; k < end; k++) {
      const s = segment + (k << 3), o = y + ((k * strip) << 2), features = min(strip, M - k * strip);
      if (dtype == F32) stripF32(o, xs, values, s, index, features, wide);
      else if (dtype == BF16) stripBF16(o, xs, values, s, index, features, wide);
      else stripF16(o, xs, values, s, index, features, wide);
    }
  }
}

function stripF32(y: usize, x: usize, values: usize, s: usize, index: usize, features: usize, wide: usize): void {
  outputs(F32, y, x, values, s, index, features, wide);
}

function stripBF16(y: usize, x: usize, values: usize, s: usize, index: usize, features: usize, wide: usize): void {
  outputs(BF16, y, x, values, s, index, features, wide);
}

function stripF16(y: usize, x: usize, values: usize, s: usize, index: usize, features: usize, wide: usize): void {
  outputs(F16, y, x, values, s, index, features, wide);
}

/** A strip of outputs. Four sums in turn hide the adder's latency. */
@inline
function outputs(dtype: i32, y: usize, x: usize, values: usize, s: usize, index: usize, features: usize, wide: usize): void {
  const n = listed(s, features, wide), i = index + <usize>load<u32>(s), shift: usize = dtype == F32 ? 2 : 1;
  let v = values + (<usize>load<u32>(s, 4) << shift);
  for (; features >= 4; features -= 4, y += 16) {
    let a = f32x4.splat(0), b = a, c = a, d = a, j: usize = 0;
    for (; j + 4 <= n; j += 4, v += <usize>16 << shift) {
      a = madd(weights4(v, 0, dtype), splatAt(x + (listedAt(i, j, wide) << 2)), a);
      b = madd(weights4(v, 4, dtype), splatAt(x + (listedAt(i, j + 1, wide) << 2)), b);
      c = madd(weights4(v, 8, dtype), splatAt(x + (listedAt(i, j + 2, wide) << 2)), c);
      d = madd(weights4(v, 12, dtype), splatAt(x + (listedAt(i, j + 3, wide) << 2)), d);
    }
    for (; j < n; j++, v += <usize>4 << shift) a = madd(weights4(v, 0, dtype), splatAt(x + (listedAt(i, j, wide) << 2)), a);
    v128.store(y, f32x4.add(v128.load(y), f32x4.add(f32x4.add(a, b), f32x4.add(c, d))));
  }
  for (let f: usize = 0; f < features; f++, y += 4) {
    let a: f32 = 0;
    for (let j: usize = 0; j < n; j++) a += weightAt(v, j * features + f, dtype) * load<f32>(x + (listedAt(i, j, wide) << 2));
    store<f32>(y, load<f32>(y) + a);
  }
}

function rowsF32(y: usize, x: usize, K: usize, values: usize, segment: usize, index: usize): void {
  rows(F32, y, x, K, values, segment, index);
}

function rowsBF16(y: usize, x: usize, K: usize, values: usize, segment: usize, index: usize): void {
  rows(BF16, y, x, K, values, segment, index);
}

function rowsF16(y: usize, x: usize, K: usize, values: usize, segment: usize, index: usize): void {
  rows(F16, y, x, K, values, segment, index);
}

/** The strips of inputs of one segment of rows, one after another: their lists, and values, follow each other. */
@inline
function rows(dtype: i32, y: usize, x: usize, K: usize, values: usize, segment: usize, index: usize): void {
  const shift: usize = dtype == F32 ? 2 : 1;
  let i = index + <usize>load<u32>(segment), v = values + (<usize>load<u32>(segment, 4) << shift), s = segment + 8;
  for (const last = x + ((K & ~3) << 2); x < last; x += 16, s += 8) {
    const quad = v128.load(x), stop = index + <usize>load<u32>(s);
    for (; i + 4 <= stop; i += 4, v += <usize>16 << shift) {
      const r = sums4(
        f32x4.mul(weights4(v, 0, dtype), quad), f32x4.mul(weights4(v, 4, dtype), quad),
        f32x4.mul(weights4(v, 8, dtype), quad), f32x4.mul(weights4(v, 12, dtype), quad),
      );
      add(y, i, f32x4.extract_lane(r, 0));
      add(y, i + 1, f32x4.extract_lane(r, 1));
      add(y, i + 2, f32x4.extract_lane(r, 2));
      add(y, i + 3, f32x4.extract_lane(r, 3));
    }
    for (; i < stop; i++, v += <usize>4 << shift) add(y, i, sum(f32x4.mul(weights4(v, 0, dtype), quad)));
  }
  const inputs = K & 3;
  if (!inputs) return;
  for (const stop = index + <usize>load<u32>(s); i < stop; i++) {
    let r: f32 = 0;
    for (let c: usize = 0; c < inputs; c++, v += <usize>1 << shift) r += weightAt(v, 0, dtype) * load<f32>(x + (c << 2));
    add(y, i, r);
  }
}

/** Adds to the row that the index has at i. */
@inline
function add(y: usize, i: usize, r: f32): void {
  const o = y + (<usize>load<u8>(i) << 2);
  store<f32>(o, load<f32>(o) + r);
}
