// What an adapter needs of a dense weight (layout: dense.ts): merging, the sampled product, which is all of dY X', and the
// factor gradients of the multiplicative adapters. (The additive ones have no use for those: see adapters/lors.ts.)
import { FEATURE_SHIFT, madd, splatAt, start, sums4, weights4 } from './lanes';
import { unpack } from './quadAdapter';

/**
 * merged = W + s up downT' (rank 0 only unpacks W to f32; with no values W is 0), for panels [begin, end). up [M][r], downT [K][r]. The four rows of a
 * panel are the lanes: up is transposed into registers, eight ranks at a time, and downT is splatted, as x is in gemm.
 */
export function mergeDense(
  merged: usize, values: usize, dtype: i32, up: usize, downT: usize, rank: usize, scaling: f32, M: usize, K: usize, begin: usize, end: usize,
): void {
  const row = rank << 2;
  for (let p = begin; p < end; p++) {
    const from = (p * K) << 2, to = from + (K << 2);
    if (row == 0) {
      unpack(merged, values, dtype, from, to);
      continue;
    }
    const u = up + (p << 2) * row, rows = min(<usize>4, M - (p << 2));
    let r: usize = 0;
    for (; r + 32 <= row; r += 32) addRanks(true, r == 0, merged + (from << 2), u + r, downT + r, row, rows, scaling, K);
    if (r < row) addRanks(false, r == 0, merged + (from << 2), u + r, downT + r, row, rows, scaling, K);
    if (values == 0) continue;
    // The weight comes last: added to each part of the update, it would round each.
    for (let n = from; n < to; n += 4) v128.store(merged + (n << 2), f32x4.add(weights4(values, n, dtype), v128.load(merged + (n << 2))));
  }
}

/** merged = (0 at first, else merged) + scaling up downT' for one panel and eight ranks, or four. */
@inline
function addRanks(eight: bool, first: bool, merged: usize, up: usize, downT: usize, row: usize, rows: usize, scaling: f32, K: usize): void {
  const s = f32x4.splat(scaling), zero = f32x4.splat(0);
  // Rows that are not there are zeros.
  let a = f32x4.mul(s, v128.load(up)), b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero;
  if (rows > 1) b = f32x4.mul(s, v128.load(up + row));
  if (rows > 2) c = f32x4.mul(s, v128.load(up + (row << 1)));
  if (rows > 3) d = f32x4.mul(s, v128.load(up + row * 3));
  let ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), AB = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  let cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5), CD = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  a = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), b = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  c = v128.shuffle<f32>(AB, CD, 0, 1, 4, 5), d = v128.shuffle<f32>(AB, CD, 2, 3, 6, 7);
  if (eight) {
    e = f32x4.mul(s, v128.load(up, 16));
    if (rows > 1) f = f32x4.mul(s, v128.load(up + row, 16));
    if (rows > 2) g = f32x4.mul(s, v128.load(up + (row << 1), 16));
    if (rows > 3) h = f32x4.mul(s, v128.load(up + row * 3, 16));
    ab = v128.shuffle<f32>(e, f, 0, 4, 1, 5), AB = v128.shuffle<f32>(e, f, 2, 6, 3, 7);
    cd = v128.shuffle<f32>(g, h, 0, 4, 1, 5), CD = v128.shuffle<f32>(g, h, 2, 6, 3, 7);
    e = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), f = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
    g = v128.shuffle<f32>(AB, CD, 0, 1, 4, 5), h = v128.shuffle<f32>(AB, CD, 2, 3, 6, 7);
  }
  for (let m = merged, last = merged + (K << 4); m < last; m += 16, downT += row) {
    let x = madd(a, splatAt(downT), first ? zero : v128.load(m)), y = f32x4.mul(b, v128.load32_splat(downT, 4));
    x = madd(c, v128.load32_splat(downT, 8), x), y = madd(d, v128.load32_splat(downT, 12), y);
    if (eight) {
      x = madd(e, v128.load32_splat(downT, 16), x), y = madd(f, v128.load32_splat(downT, 20), y);
      x = madd(g, v128.load32_splat(downT, 24), x), y = madd(h, v128.load32_splat(downT, 28), y);
    }
    v128.store(m, f32x4.add(x, y));
  }
}

/** dW = (init or 0) + dY X' in panels, summed over `tiles` tiles, for panels [begin, end). */
export function sddmmDense(
  dw: usize, init: usize, dy: usize, x: usize, features: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  for (let p = begin; p < end; p++) {
    const rows = min(<usize>4, M - (p << 2)), o = dw + ((p * K) << 4);
    start(o, init ? init + ((p * K) << 4) : 0, K << 4);
    // Rows that are not there repeat the first one; their sums are set to zero.
    const s1: usize = rows > 1 ? 64 : 0, s2: usize = rows > 2 ? 128 : 0, s3: usize = rows > 3 ? 192 : 0;
    for (let t: usize = 0; t < tiles; t++) {
      const d = dy + ((t * features + (p << 2)) << FEATURE_SHIFT);
      let xt = x + ((t * K) << FEATURE_SHIFT);
      for (let k = o, last = o + (K << 4); k < last; k += 16, xt += 64) {
        let x0 = v128.load(xt);
        let a = f32x4.mul(x0, v128.load(d)), b = f32x4.mul(x0, v128.load(d + s1));
        let c = f32x4.mul(x0, v128.load(d + s2)), e = f32x4.mul(x0, v128.load(d + s3));
        x0 = v128.load(xt, 16);
        a = madd(x0, v128.load(d, 16), a), b = madd(x0, v128.load(d + s1, 16), b);
        c = madd(x0, v128.load(d + s2, 16), c), e = madd(x0, v128.load(d + s3, 16), e);
        x0 = v128.load(xt, 32);
        a = madd(x0, v128.load(d, 32), a), b = madd(x0, v128.load(d + s1, 32), b);
        c = madd(x0, v128.load(d + s2, 32), c), e = madd(x0, v128.load(d + s3, 32), e);
        x0 = v128.load(xt, 48);
        a = madd(x0, v128.load(d, 48), a), b = madd(x0, v128.load(d + s1, 48), b);
        c = madd(x0, v128.load(d + s2, 48), c), e = madd(x0, v128.load(d + s3, 48), e);
        v128.store(k, f32x4.add(v128.load(k), sums4(a, b, c, e)));
      }
    }
    if (rows < 4) {
      for (let k = o, last = o + (K << 4); k < last; k += 16) {
        for (let r = rows; r < 4; r++) store<f32>(k + (r << 2), 0);
      }
    }
  }
}

/** dUp[i] += s sum_j H[i, j] downT[j], for panels [begin, end). dUp: [M][r]; h: f32 in panels. */
export function upGradDense(
  dUp: usize, h: usize, downT: usize, rank: usize, scaling: f32, M: usize, K: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, vs = f32x4.splat(scaling), zero = f32x4.splat(0);
  for (let p = begin; p < end; p++) {
    for (let k: usize = 0; k < row; k += 16) {
      let a = zero, b = zero, c = zero, d = zero, t = downT + k;
      for (let v = h + ((p * K) << 4), last = v + (K << 4); v < last; v += 16, t += row) {
        const x = v128.load(t);
        a = madd(splatAt(v), x, a), b = madd(v128.load32_splat(v, 4), x, b);
        c = madd(v128.load32_splat(v, 8), x, c), d = madd(v128.load32_splat(v, 12), x, d);
      }
      const rows = min(<usize>4, M - (p << 2)), o = dUp + (p << 2) * row + k;
      v128.store(o, madd(vs, a, v128.load(o)));
      if (rows > 1) v128.store(o + row, madd(vs, b, v128.load(o + row)));
      if (rows > 2) v128.store(o + (row << 1), madd(vs, c, v128.load(o + (row << 1))));
      if (rows > 3) v128.store(o + row * 3, madd(vs, d, v128.load(o + row * 3)));
    }
  }
}

/** dDownT[j] += s sum_i H[i, j] up[i], for inputs [begin, end). dDownT: [K][r]; h: f32 in panels. */
export function downGradDense(
  dDownT: usize, h: usize, up: usize, rank: usize, scaling: f32, M: usize, K: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, vs = f32x4.splat(scaling);
  for (let i: usize = 0; i < M; i += 4) {
    // Rows that are not there are zeros of H: they take the first one's factor.
    const rows = M - i, u = up + i * row;
    const s1: usize = rows > 1 ? row : 0, s2: usize = rows > 2 ? row << 1 : 0, s3: usize = rows > 3 ? row * 3 : 0;
    for (let k: usize = 0; k < row; k += 16) {
      const a = f32x4.mul(vs, v128.load(u + k)), b = f32x4.mul(vs, v128.load(u + s1 + k));
      const c = f32x4.mul(vs, v128.load(u + s2 + k)), d = f32x4.mul(vs, v128.load(u + s3 + k));
      let v = h + (((i >> 2) * K + begin) << 4);
      for (let o = dDownT + begin * row + k, last = dDownT + end * row; o < last; o += row, v += 16) {
        const x = madd(b, v128.load32_splat(v, 4), madd(a, splatAt(v), v128.load(o)));
        v128.store(o, madd(d, v128.load32_splat(v, 12), madd(c, v128.load32_splat(v, 8), x)));
      }
    }
  }
}
