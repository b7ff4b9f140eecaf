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
// Work splits by tiles (spmm, spmmT) or by strips (merge, sddmm): whoever owns an output sums it alone.
import { FEATURE_SHIFT, LOADS_FIRST, madd, splatAt, start } from './lanes';

/** Features of the strips that are walked for one tile before the next tile comes: 512 KiB of weights at most, in the second-level cache. */
const TURN: usize = 512;

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

/** Y = (init or 0) + W X, for tiles [begin, end). y, init: [tiles][M][16]; x: [tiles][K][16]; w: merged f32 values. */
export function spmmBlock(
  y: usize, init: usize, x: usize, w: usize, starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  startTiles(y, init, M, begin, end);
  if (stripsAreInputs(R)) scatterSingles(x, K, C, y, M, w, starts, index, begin, end);
  else if (entryShift(R, C)) gatherFours(y, M, R, x, K, w, starts, index, begin, end);
  else gatherSingles(y, M, R, x, K, w, starts, index, begin, end);
}

/** dX = (init or 0) + W' dY, for tiles [begin, end). dx, init: [tiles][K][16]; dy: [tiles][M][16]. */
export function spmmTBlock(
  dx: usize, init: usize, dy: usize, w: usize, starts: usize, index: usize, R: usize, C: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  startTiles(dx, init, K, begin, end);
  if (stripsAreInputs(R)) gatherSingles(dx, K, C, dy, M, w, starts, index, begin, end);
  else if (entryShift(R, C)) scatterFours(dy, M, R, dx, K, w, starts, index, begin, end);
  else scatterSingles(dy, M, R, dx, K, w, starts, index, begin, end);
}

function startTiles(out: usize, init: usize, features: usize, begin: usize, end: usize): void {
  const bytes = features << FEATURE_SHIFT;
  for (let t = begin; t < end; t++) start(out + t * bytes, init ? init + t * bytes : 0, bytes);
}

function gatherSingles(p: usize, P: usize, strip: usize, q: usize, Q: usize, w: usize, starts: usize, index: usize, begin: usize, end: usize): void {
  walk(true, 0, p, P, strip, q, Q, w, starts, index, begin, end);
}

function gatherFours(p: usize, P: usize, strip: usize, q: usize, Q: usize, w: usize, starts: usize, index: usize, begin: usize, end: usize): void {
  walk(true, 2, p, P, strip, q, Q, w, starts, index, begin, end);
}

function scatterSingles(p: usize, P: usize, strip: usize, q: usize, Q: usize, w: usize, starts: usize, index: usize, begin: usize, end: usize): void {
  walk(false, 0, p, P, strip, q, Q, w, starts, index, begin, end);
}

function scatterFours(p: usize, P: usize, strip: usize, q: usize, Q: usize, w: usize, starts: usize, index: usize, begin: usize, end: usize): void {
  walk(false, 2, p, P, strip, q, Q, w, starts, index, begin, end);
}

/** Both directions. p: [tiles][P][16], the side of the strips; q: [tiles][Q][16], the side that they list. */
@inline
function walk(
  gathers: bool, wide: usize, p: usize, P: usize, strip: usize, q: usize, Q: usize, w: usize, starts: usize, index: usize,
  begin: usize, end: usize,
): void {
  const strips = ceilDiv(P, strip), turn = TURN / strip;
  for (let first: usize = 0, segment = starts; first < Q; first += <usize>1 << segmentShift(wide), segment += strips << 3) {
    for (let from: usize = 0; from < strips; from += turn) {
      for (let t = begin; t < end; t++) {
        const list = q + ((t * Q + first) << FEATURE_SHIFT);
        for (let k = from, last = min(from + turn, strips); k < last; k++) {
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
          for (let f: usize = 0; f < features; f++) {
            if (gathers) gatherRest(panel + (f << FEATURE_SHIFT), list, v + (f << 2), features << 2, i, n, wide);
            else scatterRest(panel + (f << FEATURE_SHIFT), list, v + (f << 2), features << 2, i, n, wide);
          }
        }
      }
    }
  }
}

function gather1(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  gatherHalf(0, panel, list, w, i, n);
  gatherHalf(0, panel + 32, list + 32, w, i, n);
}

function gather4(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  gatherHalf(2, panel, list, w, i, n);
  gatherHalf(2, panel + 32, list + 32, w, i, n);
}

/**
 * A panel's four features by eight tokens, over n listed features, n > 0. Four a turn, with a way out after each: an entry
 * of four at the edge may have less, V8 looks for interrupts once a turn, and Node 20 takes all loads of a piece of code
 * without a branch to its front, which for more than one would be more than there are registers.
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
    p = wide ? p + 64 : entryAt(i + 1, list, wide);
    x0 = v128.load(p), x1 = v128.load(p, 16);
    s = v128.load32_splat(w, 16);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 20);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 24);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 28);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    if (n == 2) break;
    p = wide ? p + 64 : entryAt(i + 2, list, wide);
    x0 = v128.load(p), x1 = v128.load(p, 16);
    s = v128.load32_splat(w, 32);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 36);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 40);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 44);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    if (n == 3) break;
    p = wide ? p + 64 : entryAt(i + 3, list, wide);
    x0 = v128.load(p), x1 = v128.load(p, 16);
    s = v128.load32_splat(w, 48);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 52);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 56);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 60);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    n -= 4;
    if (n == 0) break;
    w += 64;
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
  scatterHalf(0, panel, list, w, i, n);
  scatterHalf(0, panel + 32, list + 32, w, i, n);
}

function scatter4(panel: usize, list: usize, w: usize, i: usize, n: usize): void {
  scatterHalf(2, panel, list, w, i, n);
  scatterHalf(2, panel + 32, list + 32, w, i, n);
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
    o = wide ? o + 64 : entryAt(i + 1, list, wide);
    s = v128.load32_splat(w, 16), t = v128.load32_splat(w, 20), u = v128.load32_splat(w, 24), v = v128.load32_splat(w, 28);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    if (n == 2) return;
    o = wide ? o + 64 : entryAt(i + 2, list, wide);
    s = v128.load32_splat(w, 32), t = v128.load32_splat(w, 36), u = v128.load32_splat(w, 40), v = v128.load32_splat(w, 44);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    if (n == 3) return;
    o = wide ? o + 64 : entryAt(i + 3, list, wide);
    s = v128.load32_splat(w, 48), t = v128.load32_splat(w, 52), u = v128.load32_splat(w, 56), v = v128.load32_splat(w, 60);
    addProducts(o, s, a0, a1, t, b0, b1, u, c0, c1, v, d0, d1);
    n -= 4;
    if (n == 0) return;
    w += 64;
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

/** One feature of a panel at the edge, which has less than four; `stride` bytes from one of its weights to the next. */
function gatherRest(o: usize, list: usize, w: usize, stride: usize, i: usize, n: usize, wide: usize): void {
  let a0 = v128.load(o), a1 = v128.load(o, 16), a2 = v128.load(o, 32), a3 = v128.load(o, 48);
  for (let j: usize = 0; j < n; j++, w += stride) {
    const p = list + (listedAt(i, j, wide) << FEATURE_SHIFT), v = splatAt(w);
    a0 = madd(v, v128.load(p), a0);
    a1 = madd(v, v128.load(p, 16), a1);
    a2 = madd(v, v128.load(p, 32), a2);
    a3 = madd(v, v128.load(p, 48), a3);
  }
  v128.store(o, a1, 16);
  v128.store(o, a0);
  v128.store(o, a3, 48);
  v128.store(o, a2, 32);
}

/** The same, the other way. */
function scatterRest(x: usize, list: usize, w: usize, stride: usize, i: usize, n: usize, wide: usize): void {
  const a0 = v128.load(x), a1 = v128.load(x, 16), a2 = v128.load(x, 32), a3 = v128.load(x, 48);
  for (let j: usize = 0; j < n; j++, w += stride) {
    const o = list + (listedAt(i, j, wide) << FEATURE_SHIFT), v = splatAt(w);
    v128.store(o, madd(v, a1, v128.load(o, 16)), 16);
    v128.store(o, madd(v, a0, v128.load(o)));
    v128.store(o, madd(v, a3, v128.load(o, 48)), 48);
    v128.store(o, madd(v, a2, v128.load(o, 32)), 32);
  }
}
