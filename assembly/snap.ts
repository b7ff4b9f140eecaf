// Merged weights onto a group-wise integer grid, in place: fake quantisation (QA-SparsePEFT, SQFT, arXiv 2410.03750, 3.4).
//
//   w = scale (clamp(round(w / scale), -zero, levels - zero))        round: half to even
//
// A row's inputs share a scale and a zero point in groups of `size` (a multiple of 4; the last may be shorter): scales and
// zeros are [M][groups] f32, zero points whole numbers in [0, levels]. So 0 is on every grid, and what is not kept is there
// already. The gradient passes straight through, also where the grid ends: there is no backward.
//
//   merged  f32 in the order of W's values. Work splits as merging does
import { HEAD, BLOCK_SHIFT, baseAt, ceilShift, endAt, patternAt } from './quad';
import { COLUMNS_SHIFT, columnBlocks } from './csr';
import { splatAt } from './lanes';
import { ceilDiv, entryShift, listed, listedAt, segmentShift, stripOf, stripsAreInputs } from './block';

/** The point of a grid nearest to w. NaN stays NaN, and a negative zero becomes 0: adding 0 does that. */
@inline
function snap(w: f32, scale: f32, zero: f32, levels: f32): f32 {
  return scale * (min<f32>(max<f32>(nearest<f32>(w / scale), -zero), levels - zero) + 0);
}

@inline
function snapAt(v: usize, scales: usize, zeros: usize, group: usize, levels: f32): void {
  store<f32>(v, snap(load<f32>(v), load<f32>(scales + (group << 2)), load<f32>(zeros + (group << 2)), levels));
}

/** For groups of four inputs [begin, end). */
export function snapQuad(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), all = ceilDiv(K, size);
  for (let b: usize = 0; b < ceilShift(M, BLOCK_SHIFT); b++) {
    for (let g = begin; g < end; g++) {
      const s = starts + ((b * groups + g) << 3), stop = index + <usize>load<u32>(s, 8), own = (b << BLOCK_SHIFT) * all + (g << 2) / size;
      let i = index + <usize>load<u32>(s), v = merged + (<usize>load<u32>(s, 4) << 2);
      while (i < stop) {
        const bytes = <usize>popcnt(patternAt(i)) << 2, last = endAt(i);
        let group = own + baseAt(i) * all;
        for (i += HEAD; i < last; i++) {
          group += <usize>load<u8>(i) * all;
          for (const next = v + bytes; v < next; v += 4) snapAt(v, scales, zeros, group, levels);
        }
      }
    }
  }
}

/** For rows [begin, end). */
export function snapCsr(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const all = ceilDiv(K, size);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2), first = b << COLUMNS_SHIFT;
    for (let i = begin; i < end; i++) {
      const last = <usize>load<u32>(rows + (i << 2), 4);
      for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
        snapAt(merged + (n << 2), scales, zeros, i * all + (first + <usize>load<u8>(index + n)) / size, levels);
      }
    }
  }
}

/** For strips [begin, end). */
export function snapBlock(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32,
  starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const across = stripsAreInputs(R), P = across ? K : M, Q = across ? M : K, all = ceilDiv(K, size);
  const strip = stripOf(R, C), strips = ceilDiv(P, strip), wide = entryShift(R, C);
  for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
    for (let k = begin; k < end; k++) {
      const s = segment + (k << 3), features = min(strip, P - k * strip), n = listed(s, features, wide), i = index + <usize>load<u32>(s);
      let v = merged + (<usize>load<u32>(s, 4) << 2);
      for (let f: usize = 0; f < features; f += 4) {
        const own = k * strip + f, width = min<usize>(4, features - f);
        for (let j: usize = 0; j < n; j++) {
          const other = first + listedAt(i, j, wide);
          // Four inputs of one row are of one group; four rows each have their own.
          const group = across ? other * all + own / size : own * all + other / size, step: usize = across ? 0 : all;
          for (let r: usize = 0; r < width; r++, v += 4) snapAt(v, scales, zeros, group + r * step, levels);
        }
      }
    }
  }
}

/** For panels of four rows [begin, end), its rows as lanes. What pads the last one is 0, and so stays. */
export function snapDense(
  merged: usize, scales: usize, zeros: usize, size: usize, levels: f32, M: usize, K: usize, begin: usize, end: usize,
): void {
  const all = ceilDiv(K, size), zero = f32x4.splat(0);
  for (let p = begin; p < end; p++) {
    let v = merged + ((p * K) << 4);
    for (let group: usize = 0; group < all; group++) {
      const scale = ofRows(scales, p << 2, M, all, group), low = f32x4.neg(ofRows(zeros, p << 2, M, all, group));
      const high = f32x4.add(low, f32x4.splat(levels));
      for (const last = v + (min(size, K - group * size) << 4); v < last; v += 16) {
        const n = f32x4.min(f32x4.max(f32x4.nearest(f32x4.div(v128.load(v), scale)), low), high);
        v128.store(v, f32x4.mul(scale, f32x4.add(n, zero)));
      }
    }
  }
}

/** What a group of the four rows from `row` on has, that of the last row again where there are fewer. */
@inline
function ofRows(table: usize, row: usize, M: usize, all: usize, group: usize): v128 {
  const last = M - 1, t = table + (group << 2);
  let v = splatAt(t + ((row * all) << 2));
  v = f32x4.replace_lane(v, 1, load<f32>(t + ((min(row + 1, last) * all) << 2)));
  v = f32x4.replace_lane(v, 2, load<f32>(t + ((min(row + 2, last) * all) << 2)));
  return f32x4.replace_lane(v, 3, load<f32>(t + ((min(row + 3, last) * all) << 2)));
}
