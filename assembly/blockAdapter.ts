// What a low-rank adapter needs of block-sparse weights (layout: block.ts): merge, sampled product, exact factor gradients.
//
//   up [M][r], downT [K][r], both f32 with r padded to a multiple of 4 by zeros; H and the merged values stand in the
//   order of W's values.
//
// One side has the strips, the other is listed: p and P, q and Q below, whichever of outputs and inputs they are.
import { ceilDiv, entryShift, listed, listedAt, segmentShift, stripOf, stripsAreInputs } from './block';
import { FEATURE_SHIFT, dot, madd, splatAt, start, sums4 } from './lanes';
import { unpack } from './quadAdapter';

/** merged = (W + s up downT') on the pattern, for strips [begin, end); rank 0 only unpacks W to f32, and with no values W is 0. */
export function mergeBlock(
  merged: usize, values: usize, dtype: i32, up: usize, downT: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const across = stripsAreInputs(R), p = across ? downT : up, q = across ? up : downT, P = across ? K : M, Q = across ? M : K;
  const strip = stripOf(R, C), strips = ceilDiv(P, strip), wide = entryShift(R, C), row = rank << 2;
  if (begin >= end) return;
  for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
    unpack(merged, values, dtype, <usize>load<u32>(segment + (begin << 3), 4), <usize>load<u32>(segment + (end << 3), 4));
    if (rank == 0) continue;
    for (let k = begin; k < end; k++) {
      sample(merged, p + k * strip * row, q + first * row, row, row, scaling, segment + (k << 3), index, min(strip, P - k * strip), wide);
    }
  }
}

/**
 * H = (init or 0) + dY X' on W's pattern, summed over `tiles` tiles, for strips [begin, end).
 * h, init: f32 in the order of W's values; dy: [tiles][M][16]; x: [tiles][K][16].
 */
export function sddmmBlock(
  h: usize, init: usize, dy: usize, x: usize, starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize,
  tiles: usize, begin: usize, end: usize,
): void {
  const across = stripsAreInputs(R), p = across ? x : dy, q = across ? dy : x, P = across ? K : M, Q = across ? M : K;
  const strip = stripOf(R, C), strips = ceilDiv(P, strip), wide = entryShift(R, C);
  if (begin >= end) return;
  for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
    const at = <usize>load<u32>(segment + (begin << 3), 4) << 2;
    start(h + at, init ? init + at : 0, (<usize>load<u32>(segment + (end << 3), 4) << 2) - at);
    for (let t: usize = 0; t < tiles; t++) {
      const pt = p + ((t * P) << FEATURE_SHIFT), qt = q + ((t * Q + first) << FEATURE_SHIFT);
      for (let k = begin; k < end; k++) {
        sample(h, pt + ((k * strip) << FEATURE_SHIFT), qt, 64, 64, 1, segment + (k << 3), index, min(strip, P - k * strip), wide);
      }
    }
  }
}

/**
 * H[i, j] += scaling (p[i] . q[j]) for the values of the strip at s, over `bytes` bytes of each, which is a multiple of 16;
 * rows of p and of q are `stride` bytes apart.
 */
function sample(
  h: usize, p: usize, q: usize, stride: usize, bytes: usize, scaling: f32, s: usize, index: usize, features: usize, wide: usize,
): void {
  const n = listed(s, features, wide), i = index + <usize>load<u32>(s), vs = f32x4.splat(scaling);
  let v = h + (<usize>load<u32>(s, 4) << 2);
  for (; features >= 4; features -= 4, p += stride << 2) {
    let j: usize = 0;
    for (; j + 2 <= n; j += 2, v += 32) {
      sampleTwo(v, p, stride, q + listedAt(i, j, wide) * stride, q + listedAt(i, j + 1, wide) * stride, bytes, vs);
    }
    if (j < n) {
      sampleOne(v, p, stride, q + listedAt(i, j, wide) * stride, bytes, vs);
      v += 16;
    }
  }
  for (let j: usize = 0; j < n; j++) {
    for (let f: usize = 0; f < features; f++, v += 4) {
      store<f32>(v, load<f32>(v) + scaling * dot(p + f * stride, q + listedAt(i, j, wide) * stride, bytes >> 2));
    }
  }
}

/** A panel with two listed features: six loads for eight multiply-adds, where one at a time would be ten. */
function sampleTwo(v: usize, p: usize, stride: usize, q: usize, r: usize, bytes: usize, vs: v128): void {
  let p1 = p + stride, p2 = p1 + stride, p3 = p2 + stride;
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (const last = p + bytes; p < last; p += 16, p1 += 16, p2 += 16, p3 += 16, q += 16, r += 16) {
    const x = v128.load(q), y = v128.load(r);
    let z = v128.load(p);
    a = madd(z, x, a);
    e = madd(z, y, e);
    z = v128.load(p1);
    b = madd(z, x, b);
    f = madd(z, y, f);
    z = v128.load(p2);
    c = madd(z, x, c);
    g = madd(z, y, g);
    z = v128.load(p3);
    d = madd(z, x, d);
    h = madd(z, y, h);
  }
  v128.store(v, f32x4.add(v128.load(v), f32x4.mul(vs, sums4(a, b, c, d))));
  v128.store(v, f32x4.add(v128.load(v, 16), f32x4.mul(vs, sums4(e, f, g, h))), 16);
}

function sampleOne(v: usize, p: usize, stride: usize, q: usize, bytes: usize, vs: v128): void {
  let p1 = p + stride, p2 = p1 + stride, p3 = p2 + stride;
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (const last = p + bytes; p < last; p += 16, p1 += 16, p2 += 16, p3 += 16, q += 16) {
    const x = v128.load(q);
    a = madd(v128.load(p), x, a);
    b = madd(v128.load(p1), x, b);
    c = madd(v128.load(p2), x, c);
    d = madd(v128.load(p3), x, d);
  }
  v128.store(v, f32x4.add(v128.load(v), f32x4.mul(vs, sums4(a, b, c, d))));
}

/** dUp[i] += s sum_j H[i, j] downT[j], for four ranks at a time: quads of the rank [begin, end). dUp: [M][r]. */
export function upGradBlock(
  dUp: usize, h: usize, downT: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  if (stripsAreInputs(R)) scatterGrad(dUp, M, downT, K, h, rank, scaling, starts, index, stripOf(R, C), entryShift(R, C), begin, end);
  else gatherGrad(dUp, M, downT, K, h, rank, scaling, starts, index, stripOf(R, C), entryShift(R, C), begin, end);
}

/** dDownT[j] += s sum_i H[i, j] up[i], for four ranks at a time: quads of the rank [begin, end). dDownT: [K][r]. */
export function downGradBlock(
  dDownT: usize, h: usize, up: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  if (stripsAreInputs(R)) gatherGrad(dDownT, K, up, M, h, rank, scaling, starts, index, stripOf(R, C), entryShift(R, C), begin, end);
  else scatterGrad(dDownT, K, up, M, h, rank, scaling, starts, index, stripOf(R, C), entryShift(R, C), begin, end);
}

/** d [P][r] of the strips from the factor q [Q][r] of what they list. */
function gatherGrad(
  d: usize, P: usize, q: usize, Q: usize, h: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, strip: usize, wide: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, strips = ceilDiv(P, strip), vs = f32x4.splat(scaling);
  for (let ranks = begin << 4; ranks < end << 4; ranks += 16) {
    for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
      const qs = q + first * row + ranks;
      for (let k: usize = 0; k < strips; k++) {
        const s = segment + (k << 3);
        let features = min(strip, P - k * strip), o = d + k * strip * row + ranks, v = h + (<usize>load<u32>(s, 4) << 2);
        const n = listed(s, features, wide), i = index + <usize>load<u32>(s);
        for (; features >= 4; features -= 4, o += row << 2) {
          const o1 = o + row, o2 = o1 + row, o3 = o2 + row;
          let a = f32x4.splat(0), b = a, c = a, e = a;
          for (let j: usize = 0; j < n; j++, v += 16) {
            const x = v128.load(qs + listedAt(i, j, wide) * row);
            a = madd(v128.load32_splat(v), x, a);
            b = madd(v128.load32_splat(v, 4), x, b);
            c = madd(v128.load32_splat(v, 8), x, c);
            e = madd(v128.load32_splat(v, 12), x, e);
          }
          v128.store(o, madd(vs, a, v128.load(o)));
          v128.store(o1, madd(vs, b, v128.load(o1)));
          v128.store(o2, madd(vs, c, v128.load(o2)));
          v128.store(o3, madd(vs, e, v128.load(o3)));
        }
        for (let f: usize = 0; f < features; f++, o += row) {
          let a = f32x4.splat(0);
          for (let j: usize = 0; j < n; j++) {
            a = madd(splatAt(v + ((j * features + f) << 2)), v128.load(qs + listedAt(i, j, wide) * row), a);
          }
          v128.store(o, madd(vs, a, v128.load(o)));
        }
      }
    }
  }
}

/** d [Q][r] of what the strips list from their factor p [P][r]. */
function scatterGrad(
  d: usize, Q: usize, p: usize, P: usize, h: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, strip: usize, wide: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, strips = ceilDiv(P, strip), vs = f32x4.splat(scaling);
  for (let ranks = begin << 4; ranks < end << 4; ranks += 16) {
    for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
      const ds = d + first * row + ranks;
      for (let k: usize = 0; k < strips; k++) {
        const s = segment + (k << 3);
        let features = min(strip, P - k * strip), u = p + k * strip * row + ranks, v = h + (<usize>load<u32>(s, 4) << 2);
        const n = listed(s, features, wide), i = index + <usize>load<u32>(s);
        for (; features >= 4; features -= 4) {
          const a = f32x4.mul(vs, v128.load(u)), b = f32x4.mul(vs, v128.load(u + row));
          const c = f32x4.mul(vs, v128.load(u + (row << 1))), e = f32x4.mul(vs, v128.load(u + 3 * row));
          for (let j: usize = 0; j < n; j++, v += 16) {
            const o = ds + listedAt(i, j, wide) * row;
            const ab = madd(v128.load32_splat(v, 4), b, madd(v128.load32_splat(v), a, v128.load(o)));
            v128.store(o, madd(v128.load32_splat(v, 12), e, madd(v128.load32_splat(v, 8), c, ab)));
          }
          u += row << 2;
        }
        for (let f: usize = 0; f < features; f++, u += row) {
          const a = f32x4.mul(vs, v128.load(u));
          for (let j: usize = 0; j < n; j++) {
            const o = ds + listedAt(i, j, wide) * row;
            v128.store(o, madd(splatAt(v + ((j * features + f) << 2)), a, v128.load(o)));
          }
        }
      }
    }
  }
}
