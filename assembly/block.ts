// Block-sparse weights: blocks of R x C weights (outputs x inputs: 4x1, 16x1, 4x4, 1x4) that are kept or pruned whole.
//
//   spmm   Y = W X     spmmT  dX = W' dY     sddmm  H = (dY X') on W's pattern       W is M x K (out x in)
//
// A *strip* is four or sixteen features side by side, the long side of a block: outputs, or inputs where a block is 1x4
// (that is 4x1 of W'). It lists the features of the other side that it keeps: one at a time, or four (4x4), in segments of
// 256 (4x4: 512), so that a segment's 16 (32) KiB of one tile stay in the first-level cache. A *panel* is four features of
// a strip; each list serves both directions, no transposed copy:
//
//   gather   panel += values x listed: a panel's four features by eight tokens are sums in registers; a listed feature costs
//            two loads, four splats and eight multiply-adds, as in the dense tile. Y where strips are outputs, dX where inputs.
//   scatter  listed += values x panel: the panel's eight vectors stay in registers; a listed feature is loaded and stored
//            once for four products. dX where strips are outputs, Y where inputs.
//
// The panels of a 16x1 strip share one list: a quarter of the index, and of the lists' ends. Their 16 features by eight
// tokens at once would be twice the registers.
//
//   index   u8 an entry: which block of the segment
//   values  of each strip, panel by panel: for each listed feature the panel's features. At the matrix's edge a block has
//           fewer, and so has the last panel: nothing is padded
//   starts  [segments][strips][2] u32 and one closing pair: where a strip's index (in bytes) and values (in elements) begin
//
// Work splits by tiles and parts of the output (spmm, spmmT) or by strips (merge, sddmm): whoever owns an output sums it alone, and who takes many
// tiles of few parts reads only their weights.
import { FEATURE_SHIFT, LOADS_FIRST, fetchFeatures, madd, splatAt, start } from './lanes';

/**
 * Features of a part of the output, and of the strips that are walked for one tile before the next tile comes: 512 KiB of weights at most (4x4: 1 MiB),
 * in the second-level cache.
 */
const PART: usize = 512;
/** Tiles that go through all of a part's weights before the next: what they read and add to again is then in the second-level cache. */
const BAND: usize = 16;

/** Whether strips are inputs. */
@inline
export function stripsAreInputs(R: usize): bool {
  return R == 1;
}

/** Features of a strip. */
@inline
export function stripOf(R: usize, C: usize): usize {
  return R == 1 ? C : R;
}

/** Features that an entry of the index lists, as a shift. */
@inline
export function entryShift(R: usize, C: usize): usize {
  return R > 1 && C == 4 ? 2 : 0;
}

/** Listed features of a segment, as a shift. */
@inline
export function segmentShift(wide: usize): usize {
  return wide ? 9 : 8;
}

@inline
export function ceilDiv(n: usize, d: usize): usize {
  return (n + d - 1) / d;
}

/** The feature that is listed j-th at i, counted from the segment's first. */
@inline
export function listedAt(i: usize, j: usize, wide: usize): usize {
  return (<usize>load<u8>(i + (j >> wide)) << wide) + (j & ((<usize>1 << wide) - 1));
}

/** How many features the strip at s lists; `features` are its own. */
@inline
export function listed(s: usize, features: usize, wide: usize): usize {
  if (wide) return (<usize>load<u32>(s, 12) - <usize>load<u32>(s, 4)) / features;
  return <usize>load<u32>(s, 8) - <usize>load<u32>(s);
}

/**
 * Y = (init or 0) + W X, for units [begin, end): tiles of a part of 512 rows, part by part, band by band. y, init: [tiles][M][16];
 * x: [tiles][K][16]; w: merged f32 values.
 */
export function spmmBlock(
  y: usize, init: usize, x: usize, w: usize, starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, tiles: usize,
  begin: usize, end: usize,
): void {
  multiply(!stripsAreInputs(R), y, init, M, x, K, w, starts, index, stripOf(R, C), entryShift(R, C), tiles, begin, end);
}

/** dX = (init or 0) + W' dY, for units [begin, end): tiles of a part of 512 inputs. dx, init: [tiles][K][16]; dy: [tiles][M][16]. */
export function spmmTBlock(
  dx: usize, init: usize, dy: usize, w: usize, starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, tiles: usize,
  begin: usize, end: usize,
): void {
  multiply(stripsAreInputs(R), dx, init, K, dy, M, w, starts, index, stripOf(R, C), entryShift(R, C), tiles, begin, end);
}

/** Both: out, of so many features, has the strips (gathers) or is what they list, and x, of so many inputs, is the other. */
function multiply(
  gathers: bool, out: usize, init: usize, features: usize, x: usize, inputs: usize, w: usize, starts: usize, index: usize,
  strip: usize, wide: usize, tiles: usize, begin: usize, end: usize,
): void {
  const parts = ceilDiv(features, PART);
  while (begin < end) {
    const band = begin / (parts * BAND), unit = begin - band * parts * BAND, width = min(BAND, tiles - band * BAND);
    const part = unit / width * PART, from = band * BAND + unit % width, to = min(band * BAND + width, from + (end - begin));
    const partEnd = min(part + PART, features);
    begin += to - from;
    for (let t = from; t < to; t++) {
      const at = (t * features + part) << FEATURE_SHIFT;
      start(out + at, init ? init + at : 0, (partEnd - part) << FEATURE_SHIFT);
    }
    if (gathers) walk(true, out, features, strip, x, inputs, wide, w, starts, index, part, partEnd, 0, inputs, from, to);
    else walk(false, x, inputs, strip, out, features, wide, w, starts, index, 0, inputs, part, partEnd, from, to);
  }
}

/**
 * For features [from, to) of the strips' side and [first, last) of the one that they list. p: [tiles][P][16], the side of the
 * strips; q: [tiles][Q][16], the side that they list.
 */
function walk(
  gathers: bool, p: usize, P: usize, strip: usize, q: usize, Q: usize, wide: usize, w: usize, starts: usize, index: usize,
  from: usize, to: usize, first: usize, last: usize, begin: usize, end: usize,
): void {
  const strips = ceilDiv(P, strip), shift = segmentShift(wide);
  for (let o = first; o < last; o += <usize>1 << shift) {
    const segment = starts + ((o >> shift) * strips << 3);
    for (let f = from; f < to; f += PART) {
      for (let t = begin; t < end; t++) {
        const list = q + ((t * Q + o) << FEATURE_SHIFT);
        fetchFeatures(list, min(<usize>1 << shift, Q - o));
        for (let k = f / strip, stop = ceilDiv(min(f + PART, to), strip); k < stop; k++) {
          const s = segment + (k << 3);
          let features = min(strip, P - k * strip), panel = p + ((t * P + k * strip) << FEATURE_SHIFT);
          const n = listed(s, features, wide), i = index + <usize>load<u32>(s);
          if (n == 0) continue;
          let v = w + (<usize>load<u32>(s, 4) << 2);
          for (; features >= 4; features -= 4, panel += 256, v += n << 4) {
            if (gathers) {
              if (wide) gather4(panel, list, v, i, n);
              else gather1(panel, list, v, i, n);
            } else if (wide) scatter4(panel, list, v, i, n);
            else scatter1(panel, list, v, i, n);
          }
          for (let j: usize = 0; j < features; j++) {
            rest(gathers, panel + (j << FEATURE_SHIFT), list, v + (j << 2), features << 2, i, n, wide);
          }
        }
      }
    }
  }
}

function gather1(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  for (let h: usize = 0; h < 64; h += 32) gatherHalf(0, panel + h, list + h, w, i, n);
}

function gather4(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  for (let h: usize = 0; h < 64; h += 32) gatherHalf(2, panel + h, list + h, w, i, n);
}

/**
 * A panel's four features by eight tokens, over n listed features, n > 0. Four a turn, with a way out after each: an entry
 * of four at the edge may have less, V8 looks for interrupts once a turn, and Node 20 takes all loads of a piece of code
 * without a branch to its front, which for more than one would be more than there are registers. The weights' pointer moves on with
 * each: V8 adds the memory's address and a splat's offset before the loop, and there are registers for three such sums, not for fifteen.
 */
@inline
function gatherHalf(wide: usize, o: usize, list: usize, w: usize, i: usize, n: usize): void {
  let a0 = v128.load(o), a1 = v128.load(o, 16), b0 = v128.load(o, 64), b1 = v128.load(o, 80);
  let c0 = v128.load(o, 128), c1 = v128.load(o, 144), d0 = v128.load(o, 192), d1 = v128.load(o, 208);
  for (;;) {
    let p = entryAt(i, list, wide);
    let x0 = v128.load(p), x1 = v128.load(p, 16);
    let s = v128.load32_splat(w);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    if (n == 1) break;
    w += 16;
    p = wide ? p + 64 : entryAt(i + 1, list, wide);
    x0 = v128.load(p), x1 = v128.load(p, 16);
    s = v128.load32_splat(w);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    if (n == 2) break;
    w += 16;
    p = wide ? p + 64 : entryAt(i + 2, list, wide);
    x0 = v128.load(p), x1 = v128.load(p, 16);
    s = v128.load32_splat(w);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    if (n == 3) break;
    w += 16;
    p = wide ? p + 64 : entryAt(i + 3, list, wide);
    x0 = v128.load(p), x1 = v128.load(p, 16);
    s = v128.load32_splat(w);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    n -= 4;
    if (n == 0) break;
    w += 16;
    i += wide ? 1 : 4;
  }
  v128.store(o, a1, 16);
  v128.store(o, a0);
  v128.store(o, b1, 80);
  v128.store(o, b0, 64);
  v128.store(o, c1, 144);
  v128.store(o, c0, 128);
  v128.store(o, d1, 208);
  v128.store(o, d0, 192);
}

/** Where the first feature of the entry at i stands. */
@inline
function entryAt(i: usize, list: usize, wide: usize): usize {
  return list + (<usize>load<u8>(i) << (FEATURE_SHIFT + wide));
}

function scatter1(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  for (let h: usize = 0; h < 64; h += 32) scatterHalf(0, panel + h, list + h, w, i, n);
}

function scatter4(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  for (let h: usize = 0; h < 64; h += 32) scatterHalf(2, panel + h, list + h, w, i, n);
}

/** To n listed features, by eight tokens, what a panel's four features give them. Four a turn as in gatherHalf. */
@inline
function scatterHalf(wide: usize, x: usize, list: usize, w: usize, i: usize, n: usize): void {
  const a0 = v128.load(x), a1 = v128.load(x, 16), b0 = v128.load(x, 64), b1 = v128.load(x, 80);
  const c0 = v128.load(x, 128), c1 = v128.load(x, 144), d0 = v128.load(x, 192), d1 = v128.load(x, 208);
  for (;;) {
    let o = entryAt(i, list, wide);
    let s = v128.load32_splat(w), t = v128.load32_splat(w, 4), u = v128.load32_splat(w, 8), v = v128.load32_splat(w, 12);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    if (n == 1) return;
    w += 16;
    o = wide ? o + 64 : entryAt(i + 1, list, wide);
    s = v128.load32_splat(w), t = v128.load32_splat(w, 4), u = v128.load32_splat(w, 8), v = v128.load32_splat(w, 12);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    if (n == 2) return;
    w += 16;
    o = wide ? o + 64 : entryAt(i + 2, list, wide);
    s = v128.load32_splat(w), t = v128.load32_splat(w, 4), u = v128.load32_splat(w, 8), v = v128.load32_splat(w, 12);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    if (n == 3) return;
    w += 16;
    o = wide ? o + 64 : entryAt(i + 3, list, wide);
    s = v128.load32_splat(w), t = v128.load32_splat(w, 4), u = v128.load32_splat(w, 8), v = v128.load32_splat(w, 12);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    n -= 4;
    if (n == 0) return;
    w += 16;
    i += wide ? 1 : 4;
  }
}

/** o += s a + t b + u c + v d, for eight tokens. */
@inline
function addProducts(
  o: usize, s: v128, a0: v128, a1: v128, t: v128, b0: v128, b1: v128, u: v128, c0: v128, c1: v128, v: v128, d0: v128, d1: v128,
): void {
  if (LOADS_FIRST) {
    const o0 = v128.load(o), o1 = v128.load(o, 16);
    v128.store(o, madd(v, d1, madd(u, c1, madd(t, b1, madd(s, a1, o1)))), 16);
    v128.store(o, madd(v, d0, madd(u, c0, madd(t, b0, madd(s, a0, o0)))));
  } else {
    v128.store(o, madd(v, d1, madd(u, c1, madd(t, b1, madd(s, a1, v128.load(o, 16))))), 16);
    v128.store(o, madd(v, d0, madd(u, c0, madd(t, b0, madd(s, a0, v128.load(o))))));
  }
}

/** One feature of a panel at the edge, which has less than four, both ways; `stride` bytes from one of its weights to the next. */
function rest(gathers: bool, own: usize, list: usize, w: usize, stride: usize, i: usize, n: usize, wide: usize): void {
  for (let h: usize = 0; h < 64; h += 16, own += 16, list += 16) {
    let a = v128.load(own);
    for (let j: usize = 0; j < n; j++) {
      const p = list + (listedAt(i, j, wide) << FEATURE_SHIFT), v = splatAt(w + j * stride);
      if (gathers) a = madd(v, v128.load(p), a);
      else v128.store(p, madd(v, a, v128.load(p)));
    }
    if (gathers) v128.store(own, a);
  }
}
