// What a low-rank adapter needs of quads (layout: quad.ts): merge, sampled product, exact factor gradients.
//
//   up [M][r], downT [K][r], both f32 with r padded to a multiple of 4 by zeros; H and the merged values stand in the
//   order of W's values.
import { BLOCK_SHIFT, ceilShift } from './quad';
import { FEATURE_SHIFT, dot, dotTile, dots4, madd, splatAt, start, sum, sums4, weightAt, weights4 } from './lanes';

/** merged = (W + s up downT') on the pattern, for groups [begin, end); rank 0 only unpacks W to f32. */
export function mergeQuad(
  merged: usize, values: usize, dtype: i32, up: usize, downT: usize, rank: usize, scaling: f32,
  starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2);
  for (let b: usize = 0; b < ceilShift(M, BLOCK_SHIFT); b++) {
    const upBlock = up + ((b << BLOCK_SHIFT) * rank << 2);
    for (let g = begin; g < end; g++) {
      const s = starts + ((b * groups + g) << 3);
      mergeGroup(merged, values, dtype, upBlock, downT + ((g << 2) * rank << 2), rank, scaling, s, index);
    }
  }
}

function mergeGroup(
  merged: usize, values: usize, dtype: i32, up: usize, downT: usize, rank: usize, scaling: f32, s: usize, index: usize,
): void {
  let i = index + (<usize>load<u32>(s) << 1);
  const stop = index + (<usize>load<u32>(s, 8) << 1);
  let v = <usize>load<u32>(s, 4);
  const vs = f32x4.splat(scaling), row = rank << 2;
  while (i < stop) {
    const pattern = <u32>load<u16>(i);
    const last = i + 4 + (<usize>load<u16>(i, 2) << 1);
    i += 4;
    const p = <usize>popcnt(pattern);
    // The columns of four consecutive values: period 1, 2 or 4; three kept inputs leave the fourth lane idle.
    const c0 = downT + <usize>ctz(pattern) * row;
    const second = pattern & (pattern - 1), third = second & (second - 1), fourth = third & (third - 1);
    const c1 = p == 1 ? c0 : downT + <usize>ctz(second) * row;
    const c2 = p <= 2 ? c0 : downT + <usize>ctz(third) * row;
    const c3 = p == 1 ? c0 : p == 2 ? c1 : p == 3 ? c0 : downT + <usize>ctz(fourth) * row;
    const step: usize = p == 1 ? 4 : p == 2 ? 2 : 1;
    for (; i + (step << 1) <= last; i += step << 1) {
      const r0 = up + (<usize>load<u16>(i) >> FEATURE_SHIFT) * row;
      const r1 = p == 1 ? up + (<usize>load<u16>(i, 2) >> FEATURE_SHIFT) * row : r0;
      const r2 = p == 1 ? up + (<usize>load<u16>(i, 4) >> FEATURE_SHIFT) * row : p == 2 ? up + (<usize>load<u16>(i, 2) >> FEATURE_SHIFT) * row : r0;
      const r3 = p == 1 ? up + (<usize>load<u16>(i, 6) >> FEATURE_SHIFT) * row : r2;
      const update = dots4(r0, c0, r1, c1, r2, c2, r3, c3, rank);
      if (p != 3) {
        v128.store(merged + (v << 2), f32x4.add(weights4(values, v, dtype), f32x4.mul(vs, update)));
        v += 4;
      } else {
        store<f32>(merged + (v << 2), weightAt(values, v, dtype) + scaling * f32x4.extract_lane(update, 0));
        store<f32>(merged + (v << 2), weightAt(values, v + 1, dtype) + scaling * f32x4.extract_lane(update, 1), 4);
        store<f32>(merged + (v << 2), weightAt(values, v + 2, dtype) + scaling * f32x4.extract_lane(update, 2), 8);
        v += 3;
      }
    }
    for (; i < last; i += 2) {
      const r = up + (<usize>load<u16>(i) >> FEATURE_SHIFT) * row;
      for (let m = pattern; m; m &= m - 1, v++) {
        store<f32>(merged + (v << 2), weightAt(values, v, dtype) + scaling * dot(r, downT + <usize>ctz(m) * row, rank));
      }
    }
  }
}

/**
 * H = (init or 0) + dY X' on W's pattern, summed over `tiles` tiles, for groups [begin, end).
 * h, init: f32 in the order of W's values; dy: [tiles][M][16]; x: [tiles][K][16].
 */
export function sddmmQuad(
  h: usize, init: usize, dy: usize, x: usize, starts: usize, index: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2);
  if (begin >= end) return;
  for (let b: usize = 0; b < ceilShift(M, BLOCK_SHIFT); b++) {
    const first = starts + ((b * groups + begin) << 3), after = starts + ((b * groups + end) << 3);
    const at = <usize>load<u32>(first, 4) << 2;
    start(h + at, init ? init + at : 0, (<usize>load<u32>(after, 4) << 2) - at);
    for (let t: usize = 0; t < tiles; t++) {
      const db = dy + ((t * M + (b << BLOCK_SHIFT)) << FEATURE_SHIFT);
      for (let g = begin; g < end; g++) {
        sampleGroup(h, db, x + ((t * K + (g << 2)) << FEATURE_SHIFT), starts + ((b * groups + g) << 3), index);
      }
    }
  }
}

function sampleGroup(h: usize, dy: usize, x: usize, s: usize, index: usize): void {
  const zero = f32x4.splat(0);
  let i = index + (<usize>load<u32>(s) << 1);
  const stop = index + (<usize>load<u32>(s, 8) << 1);
  let v = h + (<usize>load<u32>(s, 4) << 2);
  while (i < stop) {
    const pattern = <u32>load<u16>(i);
    const last = i + 4 + (<usize>load<u16>(i, 2) << 1);
    i += 4;
    if (popcnt(pattern) == 2) {
      const a = x + (<usize>ctz(pattern) << FEATURE_SHIFT), b = x + (<usize>ctz(pattern & (pattern - 1)) << FEATURE_SHIFT);
      v = sample2(dy, a, b, v, i, last);
    } else {
      for (; i < last; i += 2) {
        const p = dy + <usize>load<u16>(i);
        for (let m = pattern; m; m &= m - 1, v += 4) {
          store<f32>(v, load<f32>(v) + sum(dotTile(p, x + (<usize>ctz(m) << FEATURE_SHIFT), zero)));
        }
      }
    }
    i = last;
  }
}

/** Two inputs in registers, two rows a turn: four sums leave as one vector. */
function sample2(dy: usize, a: usize, b: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
  for (; i + 4 <= last; i += 4, v += 16) {
    const p = dy + <usize>load<u16>(i), q = dy + <usize>load<u16>(i, 2);
    let d = v128.load(p), e = v128.load(q);
    let pa = f32x4.mul(d, a0), pb = f32x4.mul(d, b0), qa = f32x4.mul(e, a0), qb = f32x4.mul(e, b0);
    d = v128.load(p, 16), e = v128.load(q, 16);
    pa = madd(d, a1, pa), pb = madd(d, b1, pb), qa = madd(e, a1, qa), qb = madd(e, b1, qb);
    d = v128.load(p, 32), e = v128.load(q, 32);
    pa = madd(d, a2, pa), pb = madd(d, b2, pb), qa = madd(e, a2, qa), qb = madd(e, b2, qb);
    d = v128.load(p, 48), e = v128.load(q, 48);
    pa = madd(d, a3, pa), pb = madd(d, b3, pb), qa = madd(e, a3, qa), qb = madd(e, b3, qb);
    v128.store(v, f32x4.add(v128.load(v), sums4(pa, pb, qa, qb)));
  }
  for (; i < last; i += 2, v += 8) {
    const p = dy + <usize>load<u16>(i), zero = f32x4.splat(0);
    store<f32>(v, load<f32>(v) + sum(dotTile(p, a, zero)));
    store<f32>(v, load<f32>(v, 4) + sum(dotTile(p, b, zero)), 4);
  }
  return v;
}

/** dUp[i] += s sum_j H[i, j] downT[j], for four ranks at a time: quads of the rank [begin, end). dUp: [M][r]. */
export function upGradQuad(
  dUp: usize, h: usize, downT: usize, rank: usize, scaling: f32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), row = rank << 2, vs = f32x4.splat(scaling);
  for (let q = begin; q < end; q++) {
    for (let b: usize = 0; b < ceilShift(M, BLOCK_SHIFT); b++) {
      const out = dUp + (b << BLOCK_SHIFT) * row + (q << 4);
      for (let g: usize = 0; g < groups; g++) {
        const s = starts + ((b * groups + g) << 3), d = downT + (g << 2) * row + (q << 4);
        let i = index + (<usize>load<u32>(s) << 1), v = h + (<usize>load<u32>(s, 4) << 2);
        const stop = index + (<usize>load<u32>(s, 8) << 1);
        while (i < stop) {
          const pattern = <u32>load<u16>(i);
          const last = i + 4 + (<usize>load<u16>(i, 2) << 1);
          for (i += 4; i < last; i += 2) {
            const p = out + (<usize>load<u16>(i) >> FEATURE_SHIFT) * row;
            let acc = v128.load(p);
            for (let m = pattern; m; m &= m - 1, v += 4) {
              acc = madd(f32x4.mul(vs, splatAt(v)), v128.load(d + <usize>ctz(m) * row), acc);
            }
            v128.store(p, acc);
          }
        }
      }
    }
  }
}

/** dDownT[j] += s sum_i H[i, j] up[i], for groups [begin, end). dDownT: [K][r]. */
export function downGradQuad(
  dDownT: usize, h: usize, up: usize, rank: usize, scaling: f32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), row = rank << 2, vs = f32x4.splat(scaling);
  for (let b: usize = 0; b < ceilShift(M, BLOCK_SHIFT); b++) {
    for (let g = begin; g < end; g++) {
      const s = starts + ((b * groups + g) << 3), d = dDownT + (g << 2) * row;
      let i = index + (<usize>load<u32>(s) << 1), v = h + (<usize>load<u32>(s, 4) << 2);
      const stop = index + (<usize>load<u32>(s, 8) << 1);
      while (i < stop) {
        const pattern = <u32>load<u16>(i);
        const last = i + 4 + (<usize>load<u16>(i, 2) << 1);
        for (i += 4; i < last; i += 2) {
          const p = up + ((b << BLOCK_SHIFT) + (<usize>load<u16>(i) >> FEATURE_SHIFT)) * row;
          for (let m = pattern; m; m &= m - 1, v += 4) {
            const w = f32x4.mul(vs, splatAt(v)), o = d + <usize>ctz(m) * row;
            for (let k: usize = 0; k < row; k += 16) v128.store(o + k, madd(w, v128.load(p + k), v128.load(o + k)));
          }
        }
      }
    }
  }
}
