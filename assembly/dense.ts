// Dense weights in panels of four rows: [ceil(M / 4)][K][4] f32, the last panel padded with zero rows.
//
//   gemm   Y = W X     gemmT  dX = W' dY          W is M x K (out x in)
//
// One layout serves both directions: forward reads a panel along K, backward reads four inputs of each panel, one
// cache line. The 4 x 8 register tile (8 accumulators, 2 vectors of x, splats) is the arithmetic peak of the build.
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
/** Most inputs walked before the next panel: 40 KiB of x stay in the first-level cache. */
const INPUTS: usize = 640;
/** Panels walked before the next inputs: 128 panels are 512 rows, 32 KiB of dy. */
const PANELS: usize = 128;
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
  const runs = (K + INPUTS - 1) / INPUTS;
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
        for (; r < rows; r += 4) {
          const p = w + (((r >> 2) * K + k) << 4), o = y + t * stride + (r << FEATURE_SHIFT);
          forwardPanel(o, xt, p, n, min(<usize>4, M - r));
          forwardPanel(o + 32, xt + 32, p, n, min(<usize>4, M - r));
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

/**
 * Four rows by eight tokens over n inputs, n > 0; only `rows` of the rows are there to be written. Two inputs a turn, with a
 * way out between them: V8 looks for interrupts once a turn, and Node 20 takes all loads of a piece of code without a
 * branch to its front, which for two inputs at once would be more than there are registers.
 */
function forwardPanel(y: usize, x: usize, w: usize, n: usize, rows: usize): void {
  const y1 = rows > 1 ? y + 64 : y, y2 = rows > 2 ? y + 128 : y, y3 = rows > 3 ? y + 192 : y;
  let a0 = v128.load(y), a1 = v128.load(y, 16), b0 = v128.load(y1), b1 = v128.load(y1, 16);
  let c0 = v128.load(y2), c1 = v128.load(y2, 16), d0 = v128.load(y3), d1 = v128.load(y3, 16);
  for (;;) {
    let x0 = v128.load(x), x1 = v128.load(x, 16);
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
    x0 = v128.load(x, 64), x1 = v128.load(x, 80);
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
    x += 128;
    w += 32;
    n -= 2;
    if (n == 0) break;
  }
  v128.store(y, a0);
  v128.store(y, a1, 16);
  if (rows > 1) {
    v128.store(y1, b0);
    v128.store(y1, b1, 16);
  }
  if (rows > 2) {
    v128.store(y2, c0);
    v128.store(y2, c1, 16);
  }
  if (rows > 3) {
    v128.store(y3, d0);
    v128.store(y3, d1, 16);
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
 * [tiles][features][16]; scratch: 240 KiB.
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
  for (let p: usize = 0; p < panels; p += PANELS) {
    const rows = min(M - (p << 2), PANELS << 2);
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
        for (let k = from, to = from + inputs; k < to; k += 4) {
          const o = dx + ((t * K + k) << FEATURE_SHIFT), wk = ws + ((k - from) << 4);
          // Eight are two fours, not six and two.
          if (SIX_ROWS && k + 6 <= to && k + 8 != to) {
            k += 2;
            if (WIDE_LANES && rows % 4 == 0) {
              backwardTile(o, d, wk, stride, rows);
              continue;
            }
            backwardSix(o, d, wk, stride, rows);
            backwardSix(o + 32, d + 32, wk, stride, rows);
            continue;
          }
          if (k + 4 <= K) {
            backwardPanels(o, d, wk, stride, rows);
            backwardPanels(o + 32, d + 32, wk, stride, rows);
          } else {
            backwardInputs(o, d, wk, stride, rows, K - k);
            backwardInputs(o + 32, d + 32, wk, stride, rows, K - k);
          }
        }
      }
    }
  }
}

/** Four inputs by eight tokens over `rows` rows. A panel of four rows a turn, with a way out between them as in forwardPanel. */
function backwardPanels(dx: usize, dy: usize, w: usize, stride: usize, rows: usize): void {
  let a0 = v128.load(dx), a1 = v128.load(dx, 16), b0 = v128.load(dx, 64), b1 = v128.load(dx, 80);
  let c0 = v128.load(dx, 128), c1 = v128.load(dx, 144), d0 = v128.load(dx, 192), d1 = v128.load(dx, 208);
  for (;;) {
    let y0 = v128.load(dy), y1 = v128.load(dy, 16);
    let s = v128.load32_splat(w);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 16);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 32);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 48);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    if (rows == 1) break;
    y0 = v128.load(dy, 64), y1 = v128.load(dy, 80);
    s = v128.load32_splat(w, 4);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 20);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 36);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 52);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    if (rows == 2) break;
    y0 = v128.load(dy, 128), y1 = v128.load(dy, 144);
    s = v128.load32_splat(w, 8);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 24);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 40);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 56);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    if (rows == 3) break;
    y0 = v128.load(dy, 192), y1 = v128.load(dy, 208);
    s = v128.load32_splat(w, 12);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 28);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 44);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 60);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    rows -= 4;
    if (rows == 0) break;
    dy += 256;
    w += stride;
  }
  v128.store(dx, a0);
  v128.store(dx, a1, 16);
  v128.store(dx, b0, 64);
  v128.store(dx, b1, 80);
  v128.store(dx, c0, 128);
  v128.store(dx, c1, 144);
  v128.store(dx, d0, 192);
  v128.store(dx, d1, 208);
}

/** The same for the last inputs of a matrix, of which only `inputs` are there. */
function backwardInputs(dx: usize, dy: usize, w: usize, stride: usize, rows: usize, inputs: usize): void {
  // A missing input repeats the first one: it is computed again and not written.
  const k1: usize = inputs > 1 ? 16 : 0, k2: usize = inputs > 2 ? 32 : 0, k3: usize = inputs > 3 ? 48 : 0;
  const dx1 = dx + (k1 << 2), dx2 = dx + (k2 << 2), dx3 = dx + (k3 << 2);
  let a0 = v128.load(dx), a1 = v128.load(dx, 16), b0 = v128.load(dx1), b1 = v128.load(dx1, 16);
  let c0 = v128.load(dx2), c1 = v128.load(dx2, 16), d0 = v128.load(dx3), d1 = v128.load(dx3, 16);
  for (; rows > 0; w += stride) {
    for (let r = w, last = w + (min(rows, <usize>4) << 2); r < last; r += 4, dy += 64) {
      const y0 = v128.load(dy), y1 = v128.load(dy, 16);
      let s = splatAt(r);
      a0 = madd(s, y0, a0);
      a1 = madd(s, y1, a1);
      s = splatAt(r + k1);
      b0 = madd(s, y0, b0);
      b1 = madd(s, y1, b1);
      s = splatAt(r + k2);
      c0 = madd(s, y0, c0);
      c1 = madd(s, y1, c1);
      s = splatAt(r + k3);
      d0 = madd(s, y0, d0);
      d1 = madd(s, y1, d1);
    }
    rows -= min(rows, <usize>4);
  }
  v128.store(dx, a0);
  v128.store(dx, a1, 16);
  if (inputs > 1) {
    v128.store(dx1, b0);
    v128.store(dx1, b1, 16);
  }
  if (inputs > 2) {
    v128.store(dx2, c0);
    v128.store(dx2, c1, 16);
  }
  if (inputs > 3) {
    v128.store(dx3, d0);
    v128.store(dx3, d1, 16);
  }
}
