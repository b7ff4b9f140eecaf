// The exact factor gradients over quads (layout: quad.ts): products of the sampled gradient H with the factors.
//
//   dUp += s H down'          dDown' += s H' up            up [M][r], downT [K][r], r padded to a multiple of 4 by zeros
//
// Up to sixteen ranks are to H what a tile of tokens is to W in spmm and spmmT: a bucket's inputs sit in registers, a listed
// row costs a load, a store and one multiply-add for each of its values and four ranks (forwards), or no store (backwards).
import { HEAD, blockRowsOf, blocksOf, ceilShift, endAt, patternAt } from './quad';
import { madd, splatAt } from './lanes';

/** dUp[i] += s sum_j H[i, j] downT[j], for quads of ranks [begin, end). */
export function upGradQuad(
  dUp: usize, h: usize, downT: usize, rank: usize, scaling: f32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), blockRows = blockRowsOf(M), row = rank << 2;
  for (let q = begin; q < end; q += 4) {
    for (let b: usize = 0; b < blocksOf(M); b++) {
      const rows = dUp + b * blockRows * row + (q << 4);
      for (let g: usize = 0; g < groups; g++) {
        upGroup(end - q, rows, downT + (g << 2) * row + (q << 4), row, scaling, h, starts + ((b * groups + g) << 3), index);
      }
    }
  }
}

/** dDownT[j] += s sum_i H[i, j] up[i], for groups [begin, end). */
export function downGradQuad(
  dDownT: usize, h: usize, up: usize, rank: usize, scaling: f32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), blockRows = blockRowsOf(M), row = rank << 2, quads = rank >> 2;
  for (let b: usize = 0; b < blocksOf(M); b++) {
    for (let g = begin; g < end; g++) {
      for (let q: usize = 0; q < quads; q += 4) {
        const rows = up + b * blockRows * row + (q << 4);
        downGroup(quads - q, rows, dDownT + (g << 2) * row + (q << 4), row, scaling, h, starts + ((b * groups + g) << 3), index);
      }
    }
  }
}

/** One group and as many of the `left` quads of ranks as there are registers for, four. */
function upGroup(left: usize, rows: usize, inputs: usize, row: usize, scaling: f32, h: usize, s: usize, index: usize): void {
  if (left >= 4) eachBucket(4, false, rows, inputs, row, scaling, h, s, index);
  else if (left == 3) eachBucket(3, false, rows, inputs, row, scaling, h, s, index);
  else if (left == 2) eachBucket(2, false, rows, inputs, row, scaling, h, s, index);
  else eachBucket(1, false, rows, inputs, row, scaling, h, s, index);
}

function downGroup(left: usize, rows: usize, inputs: usize, row: usize, scaling: f32, h: usize, s: usize, index: usize): void {
  if (left >= 4) eachBucket(4, true, rows, inputs, row, scaling, h, s, index);
  else if (left == 3) eachBucket(3, true, rows, inputs, row, scaling, h, s, index);
  else if (left == 2) eachBucket(2, true, rows, inputs, row, scaling, h, s, index);
  else eachBucket(1, true, rows, inputs, row, scaling, h, s, index);
}

/**
 * Walks the buckets of a group, two of their inputs at a time: `rows` is dUp or up, `inputs` downT or dDownT, both with rows
 * `row` bytes apart, of which n vectors are used (1 to 4, known when compiled).
 */
@inline
function eachBucket(
  n: i32, transposed: bool, rows: usize, inputs: usize, row: usize, scaling: f32, h: usize, s: usize, index: usize,
): void {
  let i = index + <usize>load<u32>(s), v = h + (<usize>load<u32>(s, 4) << 2);
  const stop = index + <usize>load<u32>(s, 8), vs = f32x4.splat(scaling);
  while (i < stop) {
    let pattern = patternAt(i);
    const last = endAt(i), values = <usize>popcnt(pattern) << 2;
    i += HEAD;
    const next = v + (last - i) * values;
    while (pattern) {
      const a = inputs + <usize>ctz(pattern) * row;
      pattern &= pattern - 1;
      if (!pattern) {
        if (transposed) down1(n, rows, a, row, vs, v, values, i, last);
        else up1(n, rows, a, row, vs, v, values, i, last);
        break;
      }
      const b = inputs + <usize>ctz(pattern) * row;
      pattern &= pattern - 1;
      if (transposed) down2(n, rows, a, b, row, vs, v, values, i, last);
      else up2(n, rows, a, b, row, vs, v, values, i, last);
      v += 8;
    }
    v = next;
    i = last;
  }
}

/** Vector k of the n at p, scaled; any other is not there and not used. */
@inline
function at(n: i32, p: usize, k: i32, vs: v128): v128 {
  return n > k ? f32x4.mul(vs, v128.load(p + (<usize>k << 4))) : vs;
}

@inline
function up1(n: i32, rows: usize, a: usize, row: usize, vs: v128, v: usize, values: usize, i: usize, last: usize): void {
  const a0 = at(n, a, 0, vs), a1 = at(n, a, 1, vs), a2 = at(n, a, 2, vs), a3 = at(n, a, 3, vs);
  for (; i < last; i++, v += values) {
    const p = rows + <usize>load<u8>(i) * row;
    const w = splatAt(v);
    v128.store(p, madd(w, a0, v128.load(p)));
    if (n > 1) v128.store(p, madd(w, a1, v128.load(p, 16)), 16);
    if (n > 2) v128.store(p, madd(w, a2, v128.load(p, 32)), 32);
    if (n > 3) v128.store(p, madd(w, a3, v128.load(p, 48)), 48);
  }
}

@inline
function up2(n: i32, rows: usize, a: usize, b: usize, row: usize, vs: v128, v: usize, values: usize, i: usize, last: usize): void {
  const a0 = at(n, a, 0, vs), a1 = at(n, a, 1, vs), a2 = at(n, a, 2, vs), a3 = at(n, a, 3, vs);
  const b0 = at(n, b, 0, vs), b1 = at(n, b, 1, vs), b2 = at(n, b, 2, vs), b3 = at(n, b, 3, vs);
  for (; i < last; i++, v += values) {
    const p = rows + <usize>load<u8>(i) * row;
    const w = splatAt(v), u = v128.load32_splat(v, 4);
    v128.store(p, madd(u, b0, madd(w, a0, v128.load(p))));
    if (n > 1) v128.store(p, madd(u, b1, madd(w, a1, v128.load(p, 16))), 16);
    if (n > 2) v128.store(p, madd(u, b2, madd(w, a2, v128.load(p, 32))), 32);
    if (n > 3) v128.store(p, madd(u, b3, madd(w, a3, v128.load(p, 48))), 48);
  }
}

@inline
function down1(n: i32, rows: usize, a: usize, row: usize, vs: v128, v: usize, values: usize, i: usize, last: usize): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  for (; i < last; i++, v += values) {
    const p = rows + <usize>load<u8>(i) * row;
    const w = splatAt(v);
    a0 = madd(w, v128.load(p), a0);
    if (n > 1) a1 = madd(w, v128.load(p, 16), a1);
    if (n > 2) a2 = madd(w, v128.load(p, 32), a2);
    if (n > 3) a3 = madd(w, v128.load(p, 48), a3);
  }
  addTo(n, a, vs, a0, a1, a2, a3);
}

@inline
function down2(n: i32, rows: usize, a: usize, b: usize, row: usize, vs: v128, v: usize, values: usize, i: usize, last: usize): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (; i < last; i++, v += values) {
    const p = rows + <usize>load<u8>(i) * row;
    const w = splatAt(v), u = v128.load32_splat(v, 4);
    let x = v128.load(p);
    a0 = madd(w, x, a0), b0 = madd(u, x, b0);
    if (n > 1) {
      x = v128.load(p, 16);
      a1 = madd(w, x, a1), b1 = madd(u, x, b1);
    }
    if (n > 2) {
      x = v128.load(p, 32);
      a2 = madd(w, x, a2), b2 = madd(u, x, b2);
    }
    if (n > 3) {
      x = v128.load(p, 48);
      a3 = madd(w, x, a3), b3 = madd(u, x, b3);
    }
  }
  addTo(n, a, vs, a0, a1, a2, a3);
  addTo(n, b, vs, b0, b1, b2, b3);
}

/** The n vectors at p += scaling times the sums. */
@inline
function addTo(n: i32, p: usize, vs: v128, s0: v128, s1: v128, s2: v128, s3: v128): void {
  v128.store(p, madd(vs, s0, v128.load(p)));
  if (n > 1) v128.store(p, madd(vs, s1, v128.load(p, 16)), 16);
  if (n > 2) v128.store(p, madd(vs, s2, v128.load(p, 32)), 32);
  if (n > 3) v128.store(p, madd(vs, s3, v128.load(p, 48)), 48);
}
