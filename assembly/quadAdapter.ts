// What a low-rank adapter needs of quads (layout: quad.ts): merge and sampled product; quadFactors.ts has the factor gradients.
//
//   up [M][r], downT [K][r], both f32 with r padded to a multiple of 4 by zeros; H and the merged values stand in the
//   order of W's values.
import { HEAD, blockRowsOf, blocksOf, ceilShift, endAt, patternAt } from './quad';
import { F32, FEATURE_SHIFT, madd, start, sum, sums4, weightAt, weights4 } from './lanes';

/**
 * merged = (W + s up downT') on the pattern, for groups [begin, end); rank 0 only unpacks W to f32, and with no values W is 0. Sixteen ranks are
 * to it what a tile of tokens is to the sampled product: a group's values are unpacked, then sampled updates are added.
 */
export function mergeQuad(
  merged: usize, values: usize, dtype: i32, up: usize, downT: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), blockRows = blockRowsOf(M), row = rank << 2;
  for (let b: usize = 0; b < blocksOf(M); b++) {
    const upBlock = up + b * blockRows * row;
    for (let g = begin; g < end; g++) {
      const s = starts + ((b * groups + g) << 3), d = downT + (g << 2) * row;
      // F32 is added to where it stands, by the first ranks; the others add to what these have written.
      let from: usize = dtype == F32 && row > 0 && values ? values - merged : 0;
      if (from == 0) unpack(merged, values, dtype, <usize>load<u32>(s, 4), <usize>load<u32>(s, 12));
      let k: usize = 0;
      for (; k + 64 <= row; k += 64, from = 0) sample16(merged, from, upBlock + k, d + k, row, scaling, s, index);
      for (; k + 32 <= row; k += 32, from = 0) sample8(merged, from, upBlock + k, d + k, row, scaling, s, index);
      if (k < row) sample4(merged, from, upBlock + k, d + k, row, scaling, s, index);
    }
  }
}

/** merged[n] = values[n] as f32, or 0 where there are no values, for n in [from, to). */
export function unpack(merged: usize, values: usize, dtype: i32, from: usize, to: usize): void {
  if (values == 0) {
    memory.fill(merged + (from << 2), 0, (to - from) << 2);
    return;
  }
  for (; from + 4 <= to; from += 4) v128.store(merged + (from << 2), weights4(values, from, dtype));
  for (; from < to; from++) store<f32>(merged + (from << 2), weightAt(values, from, dtype));
}

/**
 * H = (init or 0) + dY X' on W's pattern, summed over `tiles` tiles, for groups [begin, end).
 * h, init: f32 in the order of W's values; dy: [tiles][M][16]; x: [tiles][K][16].
 */
export function sddmmQuad(
  h: usize, init: usize, dy: usize, x: usize, starts: usize, index: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), blockRows = blockRowsOf(M);
  if (begin >= end) return;
  for (let b: usize = 0; b < blocksOf(M); b++) {
    const first = starts + ((b * groups + begin) << 3), after = starts + ((b * groups + end) << 3);
    const at = <usize>load<u32>(first, 4) << 2;
    start(h + at, init ? init + at : 0, (<usize>load<u32>(after, 4) << 2) - at);
    for (let t: usize = 0; t < tiles; t++) {
      const db = dy + ((t * M + b * blockRows) << FEATURE_SHIFT);
      for (let g = begin; g < end; g++) {
        // The same code as a merge's: one of its own, with a known stride, is 2 % faster, for 600 bytes of the edge entry.
        sample16(h, 0, db, x + ((t * K + (g << 2)) << FEATURE_SHIFT), 64, 1, starts + ((b * groups + g) << 3), index);
      }
    }
  }
}

function sample16(h: usize, from: usize, up: usize, downT: usize, row: usize, scaling: f32, s: usize, index: usize): void {
  sampleGroup(4, h, from, up, downT, row, scaling, s, index);
}

function sample8(h: usize, from: usize, up: usize, downT: usize, row: usize, scaling: f32, s: usize, index: usize): void {
  sampleGroup(2, h, from, up, downT, row, scaling, s, index);
}

function sample4(h: usize, from: usize, up: usize, downT: usize, row: usize, scaling: f32, s: usize, index: usize): void {
  sampleGroup(1, h, from, up, downT, row, scaling, s, index);
}

/**
 * H[i, j] = old + scaling (p[i] . x[j]) for a group's values, over n vectors (1, 2 or 4, known when compiled) of each; the old ones
 * stand `from` bytes after H, rows of p and of x `stride` bytes apart. Horizontal sums are made four at a time, so rows go by fours,
 * twos or one.
 */
@inline
function sampleGroup(n: i32, h: usize, from: usize, rows: usize, x: usize, stride: usize, scaling: f32, s: usize, index: usize): void {
  let i = index + <usize>load<u32>(s), v = h + (<usize>load<u32>(s, 4) << 2);
  const stop = index + <usize>load<u32>(s, 8), vs = f32x4.splat(scaling);
  while (i < stop) {
    let pattern = patternAt(i);
    const last = endAt(i);
    i += HEAD;
    const a = x + <usize>ctz(pattern) * stride;
    pattern &= pattern - 1;
    if (!pattern) {
      const a0 = v128.load(a), a1 = at(n, a, 1), a2 = at(n, a, 2), a3 = at(n, a, 3);
      for (; i + 4 <= last; i += 4, v += 16) {
        const p = rows + <usize>load<u8>(i) * stride, q = rows + <usize>load<u8>(i, 1) * stride;
        const r = rows + <usize>load<u8>(i, 2) * stride, t = rows + <usize>load<u8>(i, 3) * stride;
        addTo(v, from, vs, sums4(dotWith(n, p, a0, a1, a2, a3), dotWith(n, q, a0, a1, a2, a3), dotWith(n, r, a0, a1, a2, a3), dotWith(n, t, a0, a1, a2, a3)));
      }
      for (; i < last; i++, v += 4) {
        const p = rows + <usize>load<u8>(i) * stride;
        store<f32>(v, load<f32>(v + from) + scaling * sum(dotWith(n, p, a0, a1, a2, a3)));
      }
      continue;
    }
    const b = x + <usize>ctz(pattern) * stride;
    pattern &= pattern - 1;
    if (!pattern) {
      // Scaled once a bucket instead of once a sum.
      const a0 = f32x4.mul(vs, v128.load(a)), a1 = f32x4.mul(vs, at(n, a, 1)), a2 = f32x4.mul(vs, at(n, a, 2)), a3 = f32x4.mul(vs, at(n, a, 3));
      const b0 = f32x4.mul(vs, v128.load(b)), b1 = f32x4.mul(vs, at(n, b, 1)), b2 = f32x4.mul(vs, at(n, b, 2)), b3 = f32x4.mul(vs, at(n, b, 3));
      for (; i + 2 <= last; i += 2, v += 16) {
        const q = rows + <usize>load<u8>(i) * stride, p = rows + <usize>load<u8>(i, 1) * stride;
        let d = v128.load(q), e = v128.load(p);
        let qa = f32x4.mul(d, a0), qb = f32x4.mul(d, b0), pa = f32x4.mul(e, a0), pb = f32x4.mul(e, b0);
        if (n > 1) {
          d = v128.load(q, 16), e = v128.load(p, 16);
          qa = madd(d, a1, qa), qb = madd(d, b1, qb), pa = madd(e, a1, pa), pb = madd(e, b1, pb);
        }
        if (n > 2) {
          d = v128.load(q, 32), e = v128.load(p, 32);
          qa = madd(d, a2, qa), qb = madd(d, b2, qb), pa = madd(e, a2, pa), pb = madd(e, b2, pb);
          d = v128.load(q, 48), e = v128.load(p, 48);
          qa = madd(d, a3, qa), qb = madd(d, b3, qb), pa = madd(e, a3, pa), pb = madd(e, b3, pb);
        }
        v128.store(v, f32x4.add(v128.load(v + from), sums4(qa, qb, pa, pb)));
      }
      if (i < last) {
        const p = rows + <usize>load<u8>(i) * stride;
        store<f32>(v, load<f32>(v + from) + sum(dotWith(n, p, a0, a1, a2, a3)));
        store<f32>(v, load<f32>(v + from, 4) + sum(dotWith(n, p, b0, b1, b2, b3)), 4);
        v += 8;
      }
      i = last;
      continue;
    }
    const c = x + <usize>ctz(pattern) * stride;
    pattern &= pattern - 1;
    if (!pattern) {
      for (; i < last; i++, v += 12) {
        const p = rows + <usize>load<u8>(i) * stride;
        const sums = f32x4.mul(vs, rowSums(n, p, a, b, c, c));
        store<f32>(v, load<f32>(v + from) + f32x4.extract_lane(sums, 0));
        store<f32>(v, load<f32>(v + from, 4) + f32x4.extract_lane(sums, 1), 4);
        store<f32>(v, load<f32>(v + from, 8) + f32x4.extract_lane(sums, 2), 8);
      }
      continue;
    }
    const d = x + <usize>ctz(pattern) * stride;
    for (; i < last; i++, v += 16) {
      const p = rows + <usize>load<u8>(i) * stride;
      addTo(v, from, vs, rowSums(n, p, a, b, c, d));
    }
  }
}

/** Vector k of the n at p; any other is not there and not used. */
@inline
function at(n: i32, p: usize, k: i32): v128 {
  return n > k ? v128.load(p + (<usize>k << 4)) : f32x4.splat(0);
}

@inline
function addTo(v: usize, from: usize, scaling: v128, sums: v128): void {
  v128.store(v, f32x4.add(v128.load(v + from), f32x4.mul(scaling, sums)));
}

/** Lane by lane, the products of the n vectors at p with a0 to a3, added up. */
@inline
function dotWith(n: i32, p: usize, a0: v128, a1: v128, a2: v128, a3: v128): v128 {
  let acc = f32x4.mul(v128.load(p), a0);
  if (n > 1) acc = madd(v128.load(p, 16), a1, acc);
  if (n > 2) acc = madd(v128.load(p, 32), a2, acc);
  if (n > 3) acc = madd(v128.load(p, 48), a3, acc);
  return acc;
}

/** [p . a, p . b, p . c, p . d] over n vectors of each. */
@inline
function rowSums(n: i32, p: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  const p0 = v128.load(p), p1 = at(n, p, 1), p2 = at(n, p, 2), p3 = at(n, p, 3);
  return sums4(dotWith(n, a, p0, p1, p2, p3), dotWith(n, b, p0, p1, p2, p3), dotWith(n, c, p0, p1, p2, p3), dotWith(n, d, p0, p1, p2, p3));
}
