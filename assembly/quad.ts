// Sparse weights in pattern-bucketed quads: 2:4 masks, and those that keep many (src/sparse/choose.ts).
//
//   spmm   Y  = W X          spmmT  dX = W' dY          sddmm  H = (dY X') on W's pattern          W is M x K (out x in)
//
// Inputs come in groups of four, outputs in blocks of 256 rows. In a block and group the rows are listed by pattern
// (which of the four inputs they keep, a 4-bit mask), so that a listed row's inputs sit in registers for a whole bucket
// and the loop has no data-dependent shuffle. The same lists serve both directions: no transposed copy. The idea is
// Sparse Register Tiling (Wilkinson et al., SC'23).
//
//   index   u8 stream, for each block, for each group, for each bucket: head, count, count x step
//             head   the pattern
//             step   how far the listed row is from the one before it (the first: from the block's first), in rows
//           A pattern that all 256 rows have takes two buckets, rows ascending.
//   values  in the order of the index: for each listed row its kept inputs, ascending
//   starts  [blocks][groups][2] u32 and one closing pair: where a group's index (in bytes) and values (in elements) begin
//
// Work splits by tiles (spmm, spmmT) or by groups (merge, sddmm, downGrad): whoever owns an output sums it alone.
import { FEATURE_SHIFT, LOADS_FIRST, madd, splatAt, start } from './lanes';

/**
 * Rows of a block (at most 256: a step is a byte): 16 KiB of one tile of y, or 24 KiB of one and a half, stay in a first-level
 * cache of 32 KiB, beside the weights that pass through it.
 */
export const BLOCK_ROWS: usize = 256;
/** Groups walked for one tile before the next tile comes: their weights stay in the second-level cache. */
const CHUNK: usize = 72;

@inline
export function ceilShift(n: usize, shift: usize): usize {
  return (n + (<usize>1 << shift) - 1) >> shift;
}

/** Blocks of so many rows. */
@inline
export function blocksOf(M: usize): usize {
  return (M + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

/** Bytes of a bucket's head and count. */
export const HEAD: usize = 2;

/** Which of the four inputs the bucket at i keeps, as a mask. */
@inline
export function patternAt(i: usize): u32 {
  return <u32>load<u8>(i);
}

/** Where the bucket at i ends. */
@inline
export function endAt(i: usize): usize {
  return i + HEAD + <usize>load<u8>(i, 1);
}

/** The step at i, in bytes of features. */
@inline
function stepAt(i: usize): usize {
  return <usize>load<u8>(i) << FEATURE_SHIFT;
}

/** Y = (init or 0) + W X, for tiles [begin, end). y, init: [tiles][M][16]; x: [tiles][K][16]; w: merged f32 values. */
export function spmmQuad(
  y: usize, init: usize, x: usize, w: usize, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  multiply(false, y, init, M, y, x, w, starts, index, M, K, begin, end);
}

/** dX = (init or 0) + W' dY, for tiles [begin, end). dx, init: [tiles][K][16]; dy: [tiles][M][16]. */
export function spmmTQuad(
  dx: usize, init: usize, dy: usize, w: usize, starts: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  multiply(true, dx, init, K, dy, dx, w, starts, index, M, K, begin, end);
}

/** Both directions: `rows` is y or dy, `inputs` is x or dx, and `out`, of so many features, is the one that is written. */
@inline
function multiply(
  transposed: bool, out: usize, init: usize, features: usize, rows: usize, inputs: usize, w: usize, starts: usize, index: usize,
  M: usize, K: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2);
  for (let b: usize = 0; b < blocksOf(M); b++) {
    for (let chunk: usize = 0; chunk < groups; chunk += CHUNK) {
      // Whoever is first to add to a part of the output starts it: it is still in the first-level cache then.
      const first = transposed ? chunk << 2 : b * BLOCK_ROWS, most = transposed ? CHUNK << 2 : BLOCK_ROWS;
      const starting = transposed ? b == 0 : chunk == 0, bytes = min(most, features - first) << FEATURE_SHIFT;
      for (let t = begin; t < end; t++) {
        const at = (t * features + first) << FEATURE_SHIFT;
        if (starting) start(out + at, init ? init + at : 0, bytes);
        const block = rows + ((t * M + b * BLOCK_ROWS) << FEATURE_SHIFT);
        for (let g = chunk, last = min(chunk + CHUNK, groups); g < last; g++) {
          const quad = inputs + ((t * K + (g << 2)) << FEATURE_SHIFT), s = starts + ((b * groups + g) << 3);
          if (transposed) backwardGroup(block, quad, w, s, index);
          else forwardGroup(block, quad, w, s, index);
        }
      }
    }
  }
}

function forwardGroup(y: usize, x: usize, w: usize, s: usize, index: usize): void {
  eachBucket(false, y, x, w, s, index);
}

function backwardGroup(dy: usize, dx: usize, w: usize, s: usize, index: usize): void {
  eachBucket(true, dy, dx, w, s, index);
}

/** Walks the buckets of a group; `inputs` points at its four inputs, `rows` at the block's first row. */
@inline
function eachBucket(transposed: bool, rows: usize, inputs: usize, w: usize, s: usize, index: usize): void {
  let i = index + <usize>load<u32>(s), v = w + (<usize>load<u32>(s, 4) << 2);
  const stop = index + <usize>load<u32>(s, 8);
  while (i < stop) {
    let pattern = patternAt(i);
    const last = endAt(i);
    i += HEAD;
    const a = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
    pattern &= pattern - 1;
    if (!pattern) {
      v = transposed ? backward1(rows, a, v, i, last) : forward1(rows, a, v, i, last);
    } else {
      const b = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
      pattern &= pattern - 1;
      if (!pattern) {
        v = transposed ? backward2(rows, a, b, v, i, last) : forward2(rows, a, b, v, i, last);
      } else {
        // Three and four inputs go over half a tile at a time: a whole one would not fit the 16 vector registers.
        const c = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
        pattern &= pattern - 1;
        const from = v;
        if (!pattern) {
          for (let h: usize = 0; h < 64; h += 32) {
            v = transposed ? backward3(rows + h, a + h, b + h, c + h, from, i, last) : forward3(rows + h, a + h, b + h, c + h, from, i, last);
          }
        } else {
          const d = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
          for (let h: usize = 0; h < 64; h += 32) {
            v = transposed
              ? backward4(rows + h, a + h, b + h, c + h, d + h, from, i, last)
              : forward4(rows + h, a + h, b + h, c + h, d + h, from, i, last);
          }
        }
      }
    }
    i = last;
  }
}

@inline
function forward1(p: usize, a: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  do {
    p += stepAt(i);
    const w = splatAt(v);
    if (LOADS_FIRST) {
      const y0 = v128.load(p), y1 = v128.load(p, 16), y2 = v128.load(p, 32), y3 = v128.load(p, 48);
      v128.store(p, madd(w, a0, y0));
      v128.store(p, madd(w, a1, y1), 16);
      v128.store(p, madd(w, a2, y2), 32);
      v128.store(p, madd(w, a3, y3), 48);
    } else {
      v128.store(p, madd(w, a0, v128.load(p)));
      v128.store(p, madd(w, a1, v128.load(p, 16)), 16);
      v128.store(p, madd(w, a2, v128.load(p, 32)), 32);
      v128.store(p, madd(w, a3, v128.load(p, 48)), 48);
    }
    v += 4;
    i++;
  } while (i < last);
  return v;
}

@inline
function forward2(p: usize, a: usize, b: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
  do {
    p += stepAt(i);
    const w = splatAt(v), u = splatAt(v + 4);
    if (LOADS_FIRST) {
      const y0 = v128.load(p), y1 = v128.load(p, 16), y2 = v128.load(p, 32), y3 = v128.load(p, 48);
      v128.store(p, madd(u, b0, madd(w, a0, y0)));
      v128.store(p, madd(u, b1, madd(w, a1, y1)), 16);
      v128.store(p, madd(u, b2, madd(w, a2, y2)), 32);
      v128.store(p, madd(u, b3, madd(w, a3, y3)), 48);
    } else {
      v128.store(p, madd(u, b0, madd(w, a0, v128.load(p))));
      v128.store(p, madd(u, b1, madd(w, a1, v128.load(p, 16))), 16);
      v128.store(p, madd(u, b2, madd(w, a2, v128.load(p, 32))), 32);
      v128.store(p, madd(u, b3, madd(w, a3, v128.load(p, 48))), 48);
    }
    v += 8;
    i++;
  } while (i < last);
  return v;
}

@inline
function forward3(p: usize, a: usize, b: usize, c: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), b0 = v128.load(b), b1 = v128.load(b, 16);
  const c0 = v128.load(c), c1 = v128.load(c, 16);
  for (; i < last; i++, v += 12) {
    p += stepAt(i);
    const w = splatAt(v), u = splatAt(v + 4), s = splatAt(v + 8);
    v128.store(p, madd(s, c0, madd(u, b0, madd(w, a0, v128.load(p)))));
    v128.store(p, madd(s, c1, madd(u, b1, madd(w, a1, v128.load(p, 16)))), 16);
  }
  return v;
}

@inline
function forward4(p: usize, a: usize, b: usize, c: usize, d: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), b0 = v128.load(b), b1 = v128.load(b, 16);
  const c0 = v128.load(c), c1 = v128.load(c, 16), d0 = v128.load(d), d1 = v128.load(d, 16);
  for (; i < last; i++, v += 16) {
    p += stepAt(i);
    const w = splatAt(v), u = splatAt(v + 4), s = splatAt(v + 8), q = splatAt(v + 12);
    v128.store(p, madd(q, d0, madd(s, c0, madd(u, b0, madd(w, a0, v128.load(p))))));
    v128.store(p, madd(q, d1, madd(s, c1, madd(u, b1, madd(w, a1, v128.load(p, 16))))), 16);
  }
  return v;
}

@inline
function backward1(p: usize, a: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  do {
    p += stepAt(i);
    const w = splatAt(v);
    a0 = madd(w, v128.load(p), a0);
    a1 = madd(w, v128.load(p, 16), a1);
    a2 = madd(w, v128.load(p, 32), a2);
    a3 = madd(w, v128.load(p, 48), a3);
    v += 4;
    i++;
  } while (i < last);
  v128.store(a, a0);
  v128.store(a, a1, 16);
  v128.store(a, a2, 32);
  v128.store(a, a3, 48);
  return v;
}

@inline
function backward2(p: usize, a: usize, b: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  let b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
  do {
    p += stepAt(i);
    const w = splatAt(v), u = splatAt(v + 4);
    const p0 = v128.load(p), p1 = v128.load(p, 16), p2 = v128.load(p, 32), p3 = v128.load(p, 48);
    a0 = madd(w, p0, a0);
    b0 = madd(u, p0, b0);
    a1 = madd(w, p1, a1);
    b1 = madd(u, p1, b1);
    a2 = madd(w, p2, a2);
    b2 = madd(u, p2, b2);
    a3 = madd(w, p3, a3);
    b3 = madd(u, p3, b3);
    v += 8;
    i++;
  } while (i < last);
  v128.store(a, a0);
  v128.store(a, a1, 16);
  v128.store(a, a2, 32);
  v128.store(a, a3, 48);
  v128.store(b, b0);
  v128.store(b, b1, 16);
  v128.store(b, b2, 32);
  v128.store(b, b3, 48);
  return v;
}

@inline
function backward3(p: usize, a: usize, b: usize, c: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), b0 = v128.load(b), b1 = v128.load(b, 16);
  let c0 = v128.load(c), c1 = v128.load(c, 16);
  for (; i < last; i++, v += 12) {
    p += stepAt(i);
    const w = splatAt(v), u = splatAt(v + 4), s = splatAt(v + 8);
    const p0 = v128.load(p), p1 = v128.load(p, 16);
    a0 = madd(w, p0, a0);
    a1 = madd(w, p1, a1);
    b0 = madd(u, p0, b0);
    b1 = madd(u, p1, b1);
    c0 = madd(s, p0, c0);
    c1 = madd(s, p1, c1);
  }
  v128.store(a, a0);
  v128.store(a, a1, 16);
  v128.store(b, b0);
  v128.store(b, b1, 16);
  v128.store(c, c0);
  v128.store(c, c1, 16);
  return v;
}

@inline
function backward4(p: usize, a: usize, b: usize, c: usize, d: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), b0 = v128.load(b), b1 = v128.load(b, 16);
  let c0 = v128.load(c), c1 = v128.load(c, 16), d0 = v128.load(d), d1 = v128.load(d, 16);
  for (; i < last; i++, v += 16) {
    p += stepAt(i);
    const w = splatAt(v), u = splatAt(v + 4), s = splatAt(v + 8), q = splatAt(v + 12);
    const p0 = v128.load(p), p1 = v128.load(p, 16);
    a0 = madd(w, p0, a0);
    a1 = madd(w, p1, a1);
    b0 = madd(u, p0, b0);
    b1 = madd(u, p1, b1);
    c0 = madd(s, p0, c0);
    c1 = madd(s, p1, c1);
    d0 = madd(q, p0, d0);
    d1 = madd(q, p1, d1);
  }
  v128.store(a, a0);
  v128.store(a, a1, 16);
  v128.store(b, b0);
  v128.store(b, b1, 16);
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(d, d0);
  v128.store(d, d1, 16);
  return v;
}
