// Skinny products with the factors of an adapter, r padded to a multiple of 4 by zeros. A factor is [N][r] f32.
//
//   project     Z = s factor' X               Z is [tiles][r][16]
//   expand      Y += factor Z
//   factorGrad  dFactor += s dY Z'            the reordered gradient of LoRS: tokens x N x r, never tokens x N x K
//   gateRanks   gated[i, k] = factor[i, k] gate[k]       a sub-adapter of its first ranks, where the gates of the rest are 0
//
// LoRS, arXiv 2501.08582, section 3: dUp = s dY' (X down'), dDown = s (dY up)' X, both without the mask.
import { FEATURE_SHIFT, SIX_ROWS, WIDE_LANES, madd, splatAt, sums4 } from './lanes';

/** Z = s factor' X, for tiles [begin, end). z: [tiles][r][16]; x: [tiles][N][16]. */
export function project(z: usize, x: usize, factor: usize, N: usize, rank: usize, scaling: f32, begin: usize, end: usize): void {
  for (let t = begin; t < end; t++) {
    for (let k: usize = 0; k < rank; k += 4) {
      if (WIDE_LANES) {
        projectTile(z + ((t * rank + k) << FEATURE_SHIFT), x + ((t * N) << FEATURE_SHIFT), factor + (k << 2), N, rank << 2, scaling);
        continue;
      }
      for (let half: usize = 0; half < 64; half += 32) {
        projectQuad(z + ((t * rank + k) << FEATURE_SHIFT) + half, x + ((t * N) << FEATURE_SHIFT) + half, factor + (k << 2), N, rank << 2, scaling);
      }
    }
  }
}

function projectQuad(z: usize, x: usize, f: usize, N: usize, stride: usize, scaling: f32): void {
  const zero = f32x4.splat(0);
  let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
  for (const last = x + (N << FEATURE_SHIFT); x < last; x += 64, f += stride) {
    const x0 = v128.load(x), x1 = v128.load(x, 16);
    let s = splatAt(f);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(f, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(f, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(f, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
  }
  const s = f32x4.splat(scaling);
  v128.store(z, f32x4.mul(s, a1), 16);
  v128.store(z, f32x4.mul(s, a0));
  v128.store(z, f32x4.mul(s, b1), 80);
  v128.store(z, f32x4.mul(s, b0), 64);
  v128.store(z, f32x4.mul(s, c1), 144);
  v128.store(z, f32x4.mul(s, c0), 128);
  v128.store(z, f32x4.mul(s, d1), 208);
  v128.store(z, f32x4.mul(s, d0), 192);
}

/**
 * Four ranks of a whole tile, or four scores of attention's: sixteen sums, eight once V8 has paired them. The next feature's four factors
 * stand `stride` bytes on.
 */
export function projectTile(z: usize, x: usize, f: usize, N: usize, stride: usize, scaling: f32): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  for (const last = x + (N << FEATURE_SHIFT); x < last; x += 64, f += stride) {
    const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
    let s = v128.load32_splat(f);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    a2 = madd(s, x2, a2);
    a3 = madd(s, x3, a3);
    s = v128.load32_splat(f, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    b2 = madd(s, x2, b2);
    b3 = madd(s, x3, b3);
    s = v128.load32_splat(f, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    c2 = madd(s, x2, c2);
    c3 = madd(s, x3, c3);
    s = v128.load32_splat(f, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    d2 = madd(s, x2, d2);
    d3 = madd(s, x3, d3);
  }
  const s = f32x4.splat(scaling);
  v128.store(z, f32x4.mul(s, a1), 16);
  v128.store(z, f32x4.mul(s, a0));
  v128.store(z, f32x4.mul(s, a3), 48);
  v128.store(z, f32x4.mul(s, a2), 32);
  v128.store(z, f32x4.mul(s, b1), 80);
  v128.store(z, f32x4.mul(s, b0), 64);
  v128.store(z, f32x4.mul(s, b3), 112);
  v128.store(z, f32x4.mul(s, b2), 96);
  v128.store(z, f32x4.mul(s, c1), 144);
  v128.store(z, f32x4.mul(s, c0), 128);
  v128.store(z, f32x4.mul(s, c3), 176);
  v128.store(z, f32x4.mul(s, c2), 160);
  v128.store(z, f32x4.mul(s, d1), 208);
  v128.store(z, f32x4.mul(s, d0), 192);
  v128.store(z, f32x4.mul(s, d3), 240);
  v128.store(z, f32x4.mul(s, d2), 224);
}

/** Y += factor Z, for tiles [begin, end). y: [tiles][N][16]; z: [tiles][r][16]. */
export function expand(y: usize, z: usize, factor: usize, N: usize, rank: usize, begin: usize, end: usize): void {
  for (let t = begin; t < end; t++) {
    for (let k: usize = 0; k < rank; k += 4) {
      for (let half: usize = 0; half < 64; half += 32) {
        const zk = z + ((t * rank + k) << FEATURE_SHIFT) + half;
        const a0 = v128.load(zk), a1 = v128.load(zk, 16), b0 = v128.load(zk, 64), b1 = v128.load(zk, 80);
        const c0 = v128.load(zk, 128), c1 = v128.load(zk, 144), d0 = v128.load(zk, 192), d1 = v128.load(zk, 208);
        let f = factor + (k << 2), o = y + ((t * N) << FEATURE_SHIFT) + half;
        for (const last = o + (N << FEATURE_SHIFT); o < last; o += 64, f += rank << 2) {
          const s0 = splatAt(f), s1 = v128.load32_splat(f, 4), s2 = v128.load32_splat(f, 8), s3 = v128.load32_splat(f, 12);
          v128.store(o, madd(s3, d1, madd(s2, c1, madd(s1, b1, madd(s0, a1, v128.load(o, 16))))), 16);
          v128.store(o, madd(s3, d0, madd(s2, c0, madd(s1, b0, madd(s0, a0, v128.load(o))))));
        }
      }
    }
  }
}

/** dFactor += s dY Z', summed over `tiles` tiles, for rows [begin, end). dy: [tiles][N][16]; z: [tiles][r][16]. */
export function factorGrad(
  dFactor: usize, dy: usize, z: usize, N: usize, rank: usize, scaling: f32, tiles: usize, begin: usize, end: usize,
): void {
  let i = begin;
  if (SIX_ROWS) {
    for (; i + 6 <= end; i += 6) gradSix(dFactor, dy, z, N, rank, scaling, tiles, i);
  }
  for (; i + 2 <= end; i += 2) gradRows(dFactor, dy, z, N, rank, scaling, tiles, i, i + 1);
  // The last of an odd number is done twice over and written once.
  if (i < end) gradRows(dFactor, dy, z, N, rank, scaling, tiles, i, i);
}

/**
 * Six rows from i on, two ranks at a time: twelve sums (denseSix.ts has the reason), each in the order of gradRows. Z is read once for
 * six rows instead of two.
 */
function gradSix(dFactor: usize, dy: usize, z: usize, N: usize, rank: usize, scaling: f32, tiles: usize, i: usize): void {
  const zero = f32x4.splat(0);
  for (let k: usize = 0; k < rank; k += 2) {
    let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero, e0 = zero, e1 = zero, f0 = zero, f1 = zero;
    let p = dy + (i << FEATURE_SHIFT), q = z + (k << FEATURE_SHIFT);
    for (let t: usize = 0; t < tiles; t++, p += N << FEATURE_SHIFT, q += rank << FEATURE_SHIFT) {
      for (let lane: usize = 0; lane < 64; lane += 16) {
        const s0 = v128.load(q + lane), s1 = v128.load(q + lane, 64);
        let y = v128.load(p + lane);
        a0 = madd(y, s0, a0);
        a1 = madd(y, s1, a1);
        y = v128.load(p + lane, 64);
        b0 = madd(y, s0, b0);
        b1 = madd(y, s1, b1);
        y = v128.load(p + lane, 128);
        c0 = madd(y, s0, c0);
        c1 = madd(y, s1, c1);
        y = v128.load(p + lane, 192);
        d0 = madd(y, s0, d0);
        d1 = madd(y, s1, d1);
        y = v128.load(p + lane, 256);
        e0 = madd(y, s0, e0);
        e1 = madd(y, s1, e1);
        y = v128.load(p + lane, 320);
        f0 = madd(y, s0, f0);
        f1 = madd(y, s1, f1);
      }
    }
    const o = dFactor + ((i * rank + k) << 2), row = rank << 2;
    addPairs(o, row, scaling, sums4(a0, a1, b0, b1));
    addPairs(o + (row << 1), row, scaling, sums4(c0, c1, d0, d1));
    addPairs(o + (row << 2), row, scaling, sums4(e0, e1, f0, f1));
  }
}

/** Adds scaling times two sums to each of two rows. */
@inline
function addPairs(o: usize, row: usize, scaling: f32, sums: v128): void {
  const old = v128.load_lane<u64>(o + row, v128.load64_zero(o), 1), v = madd(f32x4.splat(scaling), sums, old);
  v128.store_lane<u64>(o, v, 0);
  v128.store_lane<u64>(o + row, v, 1);
}

/** Rows i and j, four ranks at a time: eight sums, each in the order of the tokens. */
function gradRows(dFactor: usize, dy: usize, z: usize, N: usize, rank: usize, scaling: f32, tiles: usize, i: usize, j: usize): void {
  const vs = f32x4.splat(scaling), zero = f32x4.splat(0), apart = (j - i) << FEATURE_SHIFT;
  for (let k: usize = 0; k < rank; k += 4) {
    let a = zero, b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero;
    let p = dy + (i << FEATURE_SHIFT), q = z + (k << FEATURE_SHIFT);
    for (let t: usize = 0; t < tiles; t++, p += N << FEATURE_SHIFT, q += rank << FEATURE_SHIFT) {
      for (let lane: usize = 0; lane < 64; lane += 16) {
        const y = v128.load(p + lane), x = v128.load(p + apart + lane);
        let s = v128.load(q + lane);
        a = madd(y, s, a);
        e = madd(x, s, e);
        s = v128.load(q + lane, 64);
        b = madd(y, s, b);
        f = madd(x, s, f);
        s = v128.load(q + lane, 128);
        c = madd(y, s, c);
        g = madd(x, s, g);
        s = v128.load(q + lane, 192);
        d = madd(y, s, d);
        h = madd(x, s, h);
      }
    }
    let o = dFactor + ((i * rank + k) << 2);
    v128.store(o, madd(vs, sums4(a, b, c, d), v128.load(o)));
    if (i == j) continue;
    o = dFactor + ((j * rank + k) << 2);
    v128.store(o, madd(vs, sums4(e, f, g, h), v128.load(o)));
  }
}

/** gated = factor with rank k times gate[k], for rows [begin, end). gate: [r]. */
export function gateRanks(gated: usize, factor: usize, gate: usize, rank: usize, begin: usize, end: usize): void {
  const row = rank << 2;
  for (let i = begin * row; i < end * row; i += row) {
    for (let k: usize = 0; k < row; k += 16) v128.store(gated + i + k, f32x4.mul(v128.load(factor + i + k), v128.load(gate + k)));
  }
}
