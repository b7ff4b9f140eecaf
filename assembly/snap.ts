// Merged weights onto a group-wise integer grid, in place: fake quantisation (QA-SparsePEFT, SQFT, arXiv 2410.03750, 3.4).
//
//   w = scale (clamp(round(w / scale), -zero, levels - zero))        round: half to even
//
// A row's inputs share a scale and a zero point in groups of `size` (a multiple of 4; the last may be shorter): scales and
// zeros are [M][groups] f32, zero points whole numbers in [0, levels]. So 0 is on every grid, and what is not kept is there
// already. The gradient passes straight through, also where the grid ends: there is no backward.
//
//   merged  f32 in the order of W's values. Work splits as merging does
import { ceilDiv, entryShift, listed, listedAt, segmentShift, stripOf, stripsAreInputs } from './block';
import { COLUMNS_SHIFT, columnBlocks } from './csr';
import { splatAt } from './lanes';
import { HEAD, blockRowsOf, blocksOf, ceilShift, endAt, patternAt } from './quad';

/**
 * The points nearest to four weights. The pseudo-minimum and -maximum are one instruction each, and keep a NaN that comes
 * first. Adding 0 makes a negative zero 0.
 */
@inline
function nearestPoints(w: v128, scale: v128, zero: v128, levels: v128): v128 {
  const low = f32x4.neg(zero), n = f32x4.pmax(f32x4.nearest(f32x4.div(w, scale)), low);
  return f32x4.mul(scale, f32x4.add(f32x4.pmin(n, f32x4.add(low, levels)), f32x4.splat(0)));
}

/** For `n` weights side by side, 1 to 4. */
@inline
function snapSome(v: usize, n: usize, scale: v128, zero: v128, levels: v128): void {
  if (n == 4) v128.store(v, nearestPoints(v128.load(v), scale, zero, levels));
  else if (n == 1) v128.store_lane<f32>(v, nearestPoints(splatAt(v), scale, zero, levels), 0);
  else {
    let w = v128.load64_zero(v);
    if (n == 3) w = v128.load_lane<f32>(v + 8, w, 2);
    w = nearestPoints(w, scale, zero, levels);
    v128.store_lane<u64>(v, w, 0);
    if (n == 3) v128.store_lane<f32>(v + 8, w, 2);
  }
}

/** The entries of four groups. */
@inline
function four(table: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  const ab = v128.load_lane<f32>(table + (b << 2), splatAt(table + (a << 2)), 1);
  return v128.load_lane<f32>(table + (d << 2), v128.load_lane<f32>(table + (c << 2), ab, 2), 3);
}

/** What a group of the four rows from `row` on has, that of the last row again where there are fewer. */
@inline
function ofRows(table: usize, row: usize, M: usize, all: usize, group: usize): v128 {
  const last = M - 1;
  return four(table + (group << 2), row * all, min(row + 1, last) * all, min(row + 2, last) * all, min(row + 3, last) * all);
}

/** For groups of four inputs [begin, end). Rows that keep two go by twos, so that vectors are full; those that keep one are few in quads. */
export function snapQuad(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), blockRows = blockRowsOf(M), all = ceilDiv(K, size), most = f32x4.splat(levels);
  for (let b: usize = 0; b < blocksOf(M); b++) {
    for (let g = begin; g < end; g++) {
      const s = starts + ((b * groups + g) << 3), stop = index + <usize>load<u32>(s, 8), own = b * blockRows * all + (g << 2) / size;
      let i = index + <usize>load<u32>(s), v = merged + (<usize>load<u32>(s, 4) << 2);
      while (i < stop) {
        const n = <usize>popcnt(patternAt(i)), last = endAt(i);
        i += HEAD;
        if (n == 2) {
          for (; i + 2 <= last; i += 2, v += 16) {
            const p = (own + <usize>load<u8>(i) * all) << 2, q = (own + <usize>load<u8>(i, 1) * all) << 2;
            const scale = v128.shuffle<f32>(splatAt(scales + p), splatAt(scales + q), 0, 0, 4, 4);
            snapSome(v, 4, scale, v128.shuffle<f32>(splatAt(zeros + p), splatAt(zeros + q), 0, 0, 4, 4), most);
          }
        }
        for (; i < last; i++, v += n << 2) {
          const row = (own + <usize>load<u8>(i) * all) << 2;
          snapSome(v, n, splatAt(scales + row), splatAt(zeros + row), most);
        }
      }
    }
  }
}

/** For rows [begin, end): what a row keeps of a group stands side by side. */
export function snapCsr(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const all = ceilDiv(K, size), most = f32x4.splat(levels);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2), first = b << COLUMNS_SHIFT;
    for (let i = begin; i < end; i++) {
      const last = <usize>load<u32>(rows + (i << 2), 4);
      let n = <usize>load<u32>(rows + (i << 2));
      while (n < last) {
        const group = (first + <usize>load<u8>(index + n)) / size, next = (group + 1) * size, o = (i * all + group) << 2;
        let after = n + 1;
        while (after < last && first + <usize>load<u8>(index + after) < next) after++;
        const scale = splatAt(scales + o), zero = splatAt(zeros + o);
        for (; n + 4 <= after; n += 4) snapSome(merged + (n << 2), 4, scale, zero, most);
        if (n < after) snapSome(merged + (n << 2), after - n, scale, zero, most);
        n = after;
      }
    }
  }
}

/** For strips [begin, end). */
export function snapBlock(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32,
  starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const across = stripsAreInputs(R), P = across ? K : M, Q = across ? M : K, all = ceilDiv(K, size), most = f32x4.splat(levels);
  const strip = stripOf(R, C), strips = ceilDiv(P, strip), wide = entryShift(R, C);
  for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
    for (let k = begin; k < end; k++) {
      const s = segment + (k << 3), features = min(strip, P - k * strip), n = listed(s, features, wide), i = index + <usize>load<u32>(s);
      let v = merged + (<usize>load<u32>(s, 4) << 2);
      for (let f: usize = 0; f < features; f += 4) {
        const own = k * strip + f, width = min<usize>(4, features - f);
        let scale = most, zero = most, until: usize = 0;
        for (let j: usize = 0; j < n; j++, v += width << 2) {
          const other = first + listedAt(i, j, wide);
          if (across) {
            // Four inputs of one row are of one group.
            const o = (other * all + own / size) << 2;
            scale = splatAt(scales + o), zero = splatAt(zeros + o);
          } else if (other >= until) {
            // Four rows of one input each have their own, for as long as the inputs are of that group.
            const group = other / size;
            scale = ofRows(scales, own, M, all, group), zero = ofRows(zeros, own, M, all, group), until = (group + 1) * size;
          }
          snapSome(v, width, scale, zero, most);
        }
      }
    }
  }
}

/** For panels of four rows [begin, end), its rows as lanes. What pads the last one is 0, and so stays. */
export function snapDense(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32, M: usize, K: usize, begin: usize, end: usize,
): void {
  const all = ceilDiv(K, size), most = f32x4.splat(levels);
  for (let p = begin; p < end; p++) {
    let v = merged + ((p * K) << 4);
    for (let group: usize = 0; group < all; group++) {
      const scale = ofRows(scales, p << 2, M, all, group), zero = ofRows(zeros, p << 2, M, all, group);
      for (const last = v + (min(size, K - group * size) << 4); v < last; v += 16) snapSome(v, 4, scale, zero, most);
    }
  }
}
