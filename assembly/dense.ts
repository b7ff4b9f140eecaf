// Dense weights in panels of four rows: [ceil(M / 4)][K][4] f32, the last panel padded with zero rows.
//
//   gemm   Y = W X     gemmT  dX = W' dY          W is M x K (out x in)
//
// One layout serves both directions: forward reads a panel along K, backward reads a few inputs of each panel, side by
// side. The register tiles: two rows (or inputs) by sixteen tokens here, six by eight (denseSix.ts), wider ones (denseWide.ts).
// `features` is the row count of the tiles that y or dy belongs to, for a W that is a band of rows of a larger one.
//
// Work splits into bands of 32 tiles by twelve rows, forward, or twelve inputs, backward: however few tokens there are all
// workers have some, each weight comes from memory once for a band, and what a band reads stays in the caches.
import { backwardSix, forwardSix } from './denseSix';
import { backwardTile, forwardTile } from './denseWide';
import { FEATURE_SHIFT, SIX_ROWS, WIDE_LANES, madd, splatAt, start } from './lanes';

/** Rows, forward, or inputs, backward, of a unit: those of a turn of the six-row tile. */
const UNIT: usize = 12;
/** Tiles of a unit. */
const BAND: usize = 32;
/** Inputs of a run, walked before the next panel: 20 KiB of x, which stay in the first-level cache beside the weights that pass. */
const INPUTS: usize = 320;
/** Up to so many inputs one run is faster than two, though x comes from the second-level cache: y is loaded and stored once. */
const ONE_RUN: usize = 640;
/** Panels walked before the next inputs: 72 panels are 288 rows, 18 KiB of dy. */
const PANELS: usize = 72;
/**
 * Rows, forward, or inputs, backward, walked for one tile before the next tile comes: their weights, 300 KiB at most, stay in the
 * second-level cache.
 */
const TURN: usize = 120;
/**
 * Where K is a multiple of this, panels are multiples of 4 KiB apart, and what the backward product reads of each has one and the same
 * place in the caches: it is copied first, which costs 1 to 5 % and gains 17 % (plain, K = 2048) or 3 % (relaxed).
 */
const ALIASING: usize = 256;

/**
 * Y = (init or 0) + W X, for units [begin, end): twelves of rows, band by band. y, init: rows of [tiles][features][16];
 * x: [tiles][K][16].
 */
export function gemm(
  y: usize, init: usize, x: usize, w: usize, features: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  const strips = (M + UNIT - 1) / UNIT;
  for (let from = begin, to = begin; from < end; from = to) {
    const band = from / strips, first = band * strips, t = band * BAND;
    to = min(end, first + strips);
    multiply(y, init, x, w, features, M, K, (from - first) * UNIT, min(M, (to - first) * UNIT), t, min(tiles, t + BAND));
  }
}

/** The same for rows [first, last) and tiles [begin, end). */
function multiply(
  y: usize, init: usize, x: usize, w: usize, features: usize, M: usize, K: usize, first: usize, last: usize, begin: usize, end: usize,
): void {
  const stride = features << FEATURE_SHIFT;
  for (let t = begin; t < end; t++) {
    const at = t * stride + (first << FEATURE_SHIFT);
    start(y + at, init ? init + at : 0, (last - first) << FEATURE_SHIFT);
  }
  // Equal runs of inputs: a short last one would load and store y for little.
  const runs = K > ONE_RUN ? (K + INPUTS - 1) / INPUTS : min<usize>(K, 1);
  for (let run: usize = 0; run < runs; run++) {
    const k = K * run / runs, n = K * (run + 1) / runs - k;
    for (let m = first; m < last; m += TURN) {
      const rows = min(last, m + TURN);
      fetch(w + (((m >> 2) * K + k) << 4), K << 4, n << 4, (rows - m + 3) >> 2);
      for (let t = begin; t < end; t++) {
        const xt = x + ((t * K + k) << FEATURE_SHIFT);
        let r = m;
        if (SIX_ROWS) {
          // A unit's three panels: six rows of one and a half each.
          for (; r + UNIT <= rows; r += UNIT) {
            const p = w + (((r >> 2) * K + k) << 4), q = p + (K << 4), o = y + t * stride + (r << FEATURE_SHIFT);
            if (WIDE_LANES) {
              forwardTile(o, o + 256, xt, p, q, n);
              forwardTile(o + 512, o + 384, xt, q + (K << 4), q + 8, n);
              continue;
            }
            for (let half: usize = 0; half < 64; half += 32) {
              forwardSix(o + half, o + half + 256, xt + half, p, q, n);
              forwardSix(o + half + 512, o + half + 384, xt + half, q + (K << 4), q + 8, n);
            }
          }
        }
        for (; r < rows; r += 2) {
          const p = w + (((r >> 2) * K + k) << 4) + ((r & 2) << 2), o = y + t * stride + (r << FEATURE_SHIFT);
          if (r + 1 < M) forwardPair(o, xt, p, n);
          else rest(o, xt, p, 0, 16, 64, n);
        }
      }
    }
  }
}

/**
 * Reads one byte of each cache line of some panels' `bytes`, in the order of memory, so that the weights of a turn come from there as
 * fast as they can be had; the tiles' walk over them, panel by panel, would wait for each.
 */
function fetch(w: usize, stride: usize, bytes: usize, panels: usize): void {
  for (let p: usize = 0; p < panels; p++, w += stride) {
    for (let i: usize = 0; i < bytes; i += 64) load<u8>(w + i);
  }
}

/** Copies some panels' `bytes` to a place where they stand a turn's bytes apart. */
function copyPanels(to: usize, w: usize, stride: usize, bytes: usize, panels: usize): void {
  for (let p: usize = 0; p < panels; p++, to += TURN << 4, w += stride) {
    for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, v128.load(w + i));
  }
}

/**
 * dX = (init or 0) + W' dY, for units [begin, end): twelves of inputs, band by band. dx, init: [tiles][K][16]; dy: rows of
 * [tiles][features][16]; scratch: 135 KiB.
 */
export function gemmT(
  dx: usize, init: usize, dy: usize, w: usize, features: usize, M: usize, K: usize, scratch: usize, tiles: usize, begin: usize, end: usize,
): void {
  const strips = (K + UNIT - 1) / UNIT;
  for (let from = begin, to = begin; from < end; from = to) {
    const band = from / strips, first = band * strips, t = band * BAND;
    to = min(end, first + strips);
    multiplyT(dx, init, dy, w, features, M, K, scratch, (from - first) * UNIT, min(K, (to - first) * UNIT), t, min(tiles, t + BAND));
  }
}

/** The same for inputs [first, last) and tiles [begin, end). */
function multiplyT(
  dx: usize, init: usize, dy: usize, w: usize, features: usize, M: usize, K: usize, scratch: usize,
  first: usize, last: usize, begin: usize, end: usize,
): void {
  const panels = (M + 3) >> 2;
  for (let t = begin; t < end; t++) {
    const at = (t * K + first) << FEATURE_SHIFT;
    start(dx + at, init ? init + at : 0, (last - first) << FEATURE_SHIFT);
  }
  const runs = (panels + PANELS - 1) / PANELS;
  for (let run: usize = 0; run < runs; run++) {
    const p = panels * run / runs, rows = min(M, panels * (run + 1) / runs << 2) - (p << 2);
    for (let from = first; from < last; from += TURN) {
      const inputs = min(last - from, TURN);
      let ws = w + ((p * K + from) << 4), stride = K << 4;
      if (K % ALIASING == 0) {
        copyPanels(scratch, ws, stride, inputs << 4, (rows + 3) >> 2);
        ws = scratch, stride = TURN << 4;
      } else {
        fetch(ws, stride, inputs << 4, (rows + 3) >> 2);
      }
      for (let t = begin; t < end; t++) {
        const d = dy + ((t * features + (p << 2)) << FEATURE_SHIFT);
        for (let k = from, to = from + inputs; k < to;) {
          const o = dx + ((t * K + k) << FEATURE_SHIFT), wk = ws + ((k - from) << 4);
          if (SIX_ROWS && k + 6 <= to) {
            k += 6;
            if (WIDE_LANES && rows % 4 == 0) {
              backwardTile(o, d, wk, stride, rows);
              continue;
            }
            backwardSix(o, d, wk, stride, rows);
            backwardSix(o + 32, d + 32, wk, stride, rows);
            continue;
          }
          if (k + 1 < K) backwardPair(o, d, wk, stride, rows);
          else rest(o, d, wk, 0, 4, stride, rows);
          k += 2;
        }
      }
    }
  }
}

/** pairTile is where the plain build spends its time; a build whose tiles are of six has little left for it, and is spared its length. */
function forwardPair(y: usize, x: usize, w: usize, n: usize): void {
  if (SIX_ROWS) rest(y, x, w, 4, 16, 64, n);
  else pairTile(true, y, x, w, 64, n);
}

function backwardPair(dx: usize, dy: usize, w: usize, stride: usize, rows: usize): void {
  if (SIX_ROWS) rest(dx, dy, w, 16, 4, stride, rows);
  else pairTile(false, dx, dy, w, stride, rows);
}

/**
 * Two rows by sixteen tokens over n inputs, n > 0, forward; backward two inputs over n rows. x is what both read, 64 bytes of it for each
 * of the n, whose weights stand in panels: `step` bytes from the first of four to the first of the next four.
 *
 * V8 folds a constant offset into the address of a load, but not of a splat: it adds it first, an instruction of the 24 that there is time
 * for, unless the same sum was made before the loop. So four come before the loop. The ways out between them are for V8 too, which
 * takes all loads of a piece of code without a branch to its front, where they need more registers than there are. It also orders the sums as they
 * are stored at the end, last ones first: with these, half of x is loaded when it is needed, which is 1 % faster; some orders are 13 % slower.
 */
@inline
function pairTile(forward: bool, y: usize, x: usize, w: usize, step: usize, n: usize): void {
  let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
  let b0 = v128.load(y, 64), b1 = v128.load(y, 80), b2 = v128.load(y, 96), b3 = v128.load(y, 112);
  do {
    let p = v128.load(x), s = v128.load32_splat(w);
    let q = forward ? v128.load32_splat(w, 4) : v128.load32_splat(w, 16);
    a0 = madd(s, p, a0);
    b0 = madd(q, p, b0);
    p = v128.load(x, 16);
    a1 = madd(s, p, a1);
    b1 = madd(q, p, b1);
    p = v128.load(x, 32);
    a2 = madd(s, p, a2);
    b2 = madd(q, p, b2);
    p = v128.load(x, 48);
    a3 = madd(s, p, a3);
    b3 = madd(q, p, b3);
    if (n == 1) break;
    p = v128.load(x, 64), s = forward ? v128.load32_splat(w, 16) : v128.load32_splat(w, 4);
    q = v128.load32_splat(w, 20);
    a0 = madd(s, p, a0);
    b0 = madd(q, p, b0);
    p = v128.load(x, 80);
    a1 = madd(s, p, a1);
    b1 = madd(q, p, b1);
    p = v128.load(x, 96);
    a2 = madd(s, p, a2);
    b2 = madd(q, p, b2);
    p = v128.load(x, 112);
    a3 = madd(s, p, a3);
    b3 = madd(q, p, b3);
    if (n == 2) break;
    p = v128.load(x, 128), s = forward ? v128.load32_splat(w, 32) : v128.load32_splat(w, 8);
    q = forward ? v128.load32_splat(w, 36) : v128.load32_splat(w, 24);
    a0 = madd(s, p, a0);
    b0 = madd(q, p, b0);
    p = v128.load(x, 144);
    a1 = madd(s, p, a1);
    b1 = madd(q, p, b1);
    p = v128.load(x, 160);
    a2 = madd(s, p, a2);
    b2 = madd(q, p, b2);
    p = v128.load(x, 176);
    a3 = madd(s, p, a3);
    b3 = madd(q, p, b3);
    if (n == 3) break;
    p = v128.load(x, 192), s = forward ? v128.load32_splat(w, 48) : v128.load32_splat(w, 12);
    q = forward ? v128.load32_splat(w, 52) : v128.load32_splat(w, 28);
    a0 = madd(s, p, a0);
    b0 = madd(q, p, b0);
    p = v128.load(x, 208);
    a1 = madd(s, p, a1);
    b1 = madd(q, p, b1);
    p = v128.load(x, 224);
    a2 = madd(s, p, a2);
    b2 = madd(q, p, b2);
    p = v128.load(x, 240);
    a3 = madd(s, p, a3);
    b3 = madd(q, p, b3);
    for (n -= 4; n > 0; n -= 4) {
      x += 256;
      w += step;
      p = v128.load(x), s = v128.load32_splat(w);
      q = forward ? v128.load32_splat(w, 4) : v128.load32_splat(w, 16);
      a0 = madd(s, p, a0);
      b0 = madd(q, p, b0);
      p = v128.load(x, 16);
      a1 = madd(s, p, a1);
      b1 = madd(q, p, b1);
      p = v128.load(x, 32);
      a2 = madd(s, p, a2);
      b2 = madd(q, p, b2);
      p = v128.load(x, 48);
      a3 = madd(s, p, a3);
      b3 = madd(q, p, b3);
      if (n == 1) break;
      p = v128.load(x, 64), s = forward ? v128.load32_splat(w, 16) : v128.load32_splat(w, 4);
      q = v128.load32_splat(w, 20);
      a0 = madd(s, p, a0);
      b0 = madd(q, p, b0);
      p = v128.load(x, 80);
      a1 = madd(s, p, a1);
      b1 = madd(q, p, b1);
      p = v128.load(x, 96);
      a2 = madd(s, p, a2);
      b2 = madd(q, p, b2);
      p = v128.load(x, 112);
      a3 = madd(s, p, a3);
      b3 = madd(q, p, b3);
      if (n == 2) break;
      p = v128.load(x, 128), s = forward ? v128.load32_splat(w, 32) : v128.load32_splat(w, 8);
      q = forward ? v128.load32_splat(w, 36) : v128.load32_splat(w, 24);
      a0 = madd(s, p, a0);
      b0 = madd(q, p, b0);
      p = v128.load(x, 144);
      a1 = madd(s, p, a1);
      b1 = madd(q, p, b1);
      p = v128.load(x, 160);
      a2 = madd(s, p, a2);
      b2 = madd(q, p, b2);
      p = v128.load(x, 176);
      a3 = madd(s, p, a3);
      b3 = madd(q, p, b3);
      if (n == 3) break;
      p = v128.load(x, 192), s = forward ? v128.load32_splat(w, 48) : v128.load32_splat(w, 12);
      q = forward ? v128.load32_splat(w, 52) : v128.load32_splat(w, 28);
      a0 = madd(s, p, a0);
      b0 = madd(q, p, b0);
      p = v128.load(x, 208);
      a1 = madd(s, p, a1);
      b1 = madd(q, p, b1);
      p = v128.load(x, 224);
      a2 = madd(s, p, a2);
      b2 = madd(q, p, b2);
      p = v128.load(x, 240);
      a3 = madd(s, p, a3);
      b3 = madd(q, p, b3);
    }
  } while (false);
  v128.store(y, a2, 32);
  v128.store(y, a3, 48);
  v128.store(y, b2, 96);
  v128.store(y, b3, 112);
  v128.store(y, a0);
  v128.store(y, a1, 16);
  v128.store(y, b0, 64);
  v128.store(y, b1, 80);
}

/**
 * The same in the least code: for the rows or inputs that tiles of six leave over, and for the last of an odd number, where `near` is 0, else how
 * many bytes on the second weight is; the next ones are `next` on, those of the next four `step`.
 */
function rest(y: usize, x: usize, w: usize, near: usize, next: usize, step: usize, n: usize): void {
  let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
  const z = near ? y + 64 : y;
  let b0 = v128.load(z), b1 = v128.load(z, 16), b2 = v128.load(z, 32), b3 = v128.load(z, 48);
  for (let i: usize = 1; i <= n; i++, x += 64) {
    const s = splatAt(w), q = splatAt(w + near);
    let p = v128.load(x);
    a0 = madd(s, p, a0);
    b0 = madd(q, p, b0);
    p = v128.load(x, 16);
    a1 = madd(s, p, a1);
    b1 = madd(q, p, b1);
    p = v128.load(x, 32);
    a2 = madd(s, p, a2);
    b2 = madd(q, p, b2);
    p = v128.load(x, 48);
    a3 = madd(s, p, a3);
    b3 = madd(q, p, b3);
    w += i % 4 ? next : step - 3 * next;
  }
  v128.store(y, a0);
  v128.store(y, a1, 16);
  v128.store(y, a2, 32);
  v128.store(y, a3, 48);
  if (near == 0) return;
  v128.store(z, b0);
  v128.store(z, b1, 16);
  v128.store(z, b2, 32);
  v128.store(z, b3, 48);
}
