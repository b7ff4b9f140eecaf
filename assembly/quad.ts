// Sparse weights in pattern-bucketed quads: 2:4 masks, and those that keep many (src/sparse/choose.ts).
//
//   spmm   Y  = W X          spmmT  dX = W' dY          sddmm  H = (dY X') on W's pattern          W is M x K (out x in)
//
// Inputs come in groups of four, outputs in as few equal blocks as have 256 rows at most. In a block and group the rows are
// listed by pattern (which of the four inputs they keep, a 4-bit mask), so that a listed row's inputs sit in registers for a whole bucket
// and the loop has no data-dependent shuffle. The same lists serve both directions: no transposed copy. The idea is
// Sparse Register Tiling (Wilkinson et al., SC'23).
//
//   index   u8 stream, for each block, for each group, for each bucket: pattern, count, count x row
//             row   counted from the block's first, so that no listed row waits for the one before it
//           A pattern that all 256 rows have takes two buckets; rows ascend, patterns come in any order (src/sparse/quad.ts has
//           the fastest).
//   values  in the order of the index: for each listed row its kept inputs, ascending
//   starts  [blocks][groups][2] u32 and one closing pair: where a group's index (in bytes) and values (in elements) begin
//
// Work splits by tiles and blocks (spmm), by tiles and strips of inputs (spmmT) or by groups (merge, sddmm, downGrad): whoever owns an output
// sums it alone, and who takes many tiles of few blocks, or strips, reads only their weights.
import { FEATURE_SHIFT, WIDE_LANES, fetchFeatures, start } from './lanes';
import {
  SPAN, backward1, backward2, backward2Twice, backward3, backward4, forward1, forward2, forward3, forward4,
} from './quadBuckets';

/**
 * Most rows of a block: what a byte can say, and 16 KiB of a tile of y, which stay in a first-level cache of 32 KiB beside the weights
 * that pass through it.
 */
const MOST_ROWS: usize = 256;
/** Most groups walked for one tile before the next tile comes: their weights stay in the second-level cache. */
const CHUNK: usize = 72;
/** Most chunks of a strip, which share a tile's rows of dy. */
const STRIP: usize = 4;
/** Tiles that go through all of the weight before the next: what they read and add to again is then in the second-level cache. */
const BAND: usize = 16;

@inline
export function ceilShift(n: usize, shift: usize): usize {
  return (n + (<usize>1 << shift) - 1) >> shift;
}

@inline
export function blocksOf(M: usize): usize {
  return (M + MOST_ROWS - 1) / MOST_ROWS;
}

/** Rows of each block; the last one may have fewer. Called once a kernel: inlined it is only longer. */
export function blockRowsOf(M: usize): usize {
  const blocks = max(blocksOf(M), 1);
  return (M + blocks - 1) / blocks;
}

/** Bytes of a bucket's pattern and count. */
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

/**
 * Y = (init or 0) + W X, for units [begin, end): tiles of a block of rows, block by block, band by band. y, init: [tiles][M][16];
 * x: [tiles][K][16]; w: merged f32 values; pairs: 1 where every listed row keeps two inputs, as in 2:4, for which there are loops that know it (up
 * to 4 % faster; wide ones have theirs backward anyway); scratch: 42 KiB.
 */
export function spmmQuad(
  y: usize, init: usize, x: usize, w: usize, starts: usize, index: usize, M: usize, K: usize, pairs: i32, scratch: usize, tiles: usize,
  begin: usize, end: usize,
): void {
  multiply(false, y, init, M, y, x, w, starts, index, M, K, pairs, scratch, tiles, begin, end);
}

/**
 * dX = (init or 0) + W' dY, for units [begin, end): tiles of a strip of inputs, strip by strip, band by band. dx, init: [tiles][K][16];
 * dy: [tiles][M][16]; pairs as in spmmQuad.
 */
export function spmmTQuad(
  dx: usize, init: usize, dy: usize, w: usize, starts: usize, index: usize, M: usize, K: usize, pairs: i32, tiles: usize,
  begin: usize, end: usize,
): void {
  multiply(true, dx, init, K, dy, dx, w, starts, index, M, K, pairs, 0, tiles, begin, end);
}

/**
 * Both directions: `rows` is y or dy, `inputs` is x or dx, and `out`, of so many features, is the one that is written: a strip of it for a run
 * of tiles, a block of rows forward, a few chunks of groups backward.
 */
@inline
function multiply(
  transposed: bool, out: usize, init: usize, features: usize, rows: usize, inputs: usize, w: usize, starts: usize, index: usize,
  M: usize, K: usize, pairs: i32, scratch: usize, tiles: usize, begin: usize, end: usize,
): void {
  const groups = ceilShift(K, 2), chunks = (groups + CHUNK - 1) / CHUNK, blocks = blocksOf(M), blockRows = blockRowsOf(M);
  const rowBytes = M << FEATURE_SHIFT, inputBytes = K << FEATURE_SHIFT, strips = transposed ? (chunks + STRIP - 1) / STRIP : blocks;
  while (begin < end) {
    const band = begin / (strips * BAND), unit = begin - band * strips * BAND, width = min(BAND, tiles - band * BAND);
    const strip = unit / width, from = band * BAND + unit % width, to = min(band * BAND + width, from + (end - begin));
    begin += to - from;
    const firstBlock: usize = transposed ? 0 : strip, lastBlock = transposed ? blocks : strip + 1;
    const firstChunk: usize = transposed ? chunks * strip / strips : 0, lastChunk = transposed ? chunks * (strip + 1) / strips : chunks;
    for (let b = firstBlock; b < lastBlock; b++) {
      for (let c = firstChunk; c < lastChunk; c++) {
        const chunk = groups * c / chunks, first = starts + ((b * groups + chunk) << 3);
        const last = starts + ((b * groups + groups * (c + 1) / chunks) << 3);
        const lists = transposed ? index : listed(scratch, index, <usize>load<u32>(first), <usize>load<u32>(last));
        // The first to be added to a part of the output starts it: it is still in the first-level cache then.
        const feature = transposed ? chunk << 2 : b * blockRows, most = transposed ? (last - first) >> 1 : blockRows;
        const bytes = min(most, features - feature) << FEATURE_SHIFT, starting = transposed ? b == 0 : c == 0;
        for (let t = from; t < to; t++) {
          const at = (t * features + feature) << FEATURE_SHIFT, twice = WIDE_LANES && transposed && t + 1 < to;
          if (starting) {
            start(out + at, init ? init + at : 0, bytes);
            if (twice) start(out + at + inputBytes, init ? init + at + inputBytes : 0, bytes);
          }
          const block = rows + t * rowBytes + (b * blockRows << FEATURE_SHIFT);
          fetchFeatures(block, min(blockRows, M - b * blockRows));
          if (twice) fetchFeatures(block + rowBytes, min(blockRows, M - b * blockRows));
          let quad = inputs + t * inputBytes + (chunk << 2 << FEATURE_SHIFT);
          for (let s = first; s < last; s += 8, quad += 256) {
            if (twice) backwardGroupTwice(block, rowBytes, quad, inputBytes, w, s, lists);
            else if (transposed) pairs ? backwardPairs(block, quad, w, s, lists) : backwardGroup(block, quad, w, s, lists);
            else pairs ? forwardPairs(block, quad, w, s, lists) : forwardGroup(block, quad, w, s, lists);
          }
          if (twice) t++;
        }
      }
    }
  }
}

/**
 * Bytes [from, to) of the index as u16, each times the bytes of a feature: rows are offsets then, which spares the forward loops an instruction a row,
 * and they are short of instructions; patterns and counts are shifted back. Gives where the index would begin if all of it stood there.
 */
function listed(lists: usize, index: usize, from: usize, to: usize): usize {
  const base = lists - (from << 1);
  for (; from + 8 <= to; from += 8) v128.store(base + (from << 1), i16x8.shl(v128.load_ext<u8>(index + from), <i32>FEATURE_SHIFT));
  for (; from < to; from++) store<u16>(base + (from << 1), <u16>load<u8>(index + from) << <u16>FEATURE_SHIFT);
  return base;
}

function forwardGroup(y: usize, x: usize, w: usize, s: usize, lists: usize): void {
  eachBucket(false, false, false, y, 0, x, 0, w, s, lists);
}

function forwardPairs(y: usize, x: usize, w: usize, s: usize, lists: usize): void {
  eachBucket(false, false, true, y, 0, x, 0, w, s, lists);
}

function backwardGroup(dy: usize, dx: usize, w: usize, s: usize, index: usize): void {
  eachBucket(true, false, false, dy, 0, dx, 0, w, s, index);
}

function backwardPairs(dy: usize, dx: usize, w: usize, s: usize, index: usize): void {
  eachBucket(true, false, true, dy, 0, dx, 0, w, s, index);
}

function backwardGroupTwice(dy: usize, dyStride: usize, dx: usize, dxStride: usize, w: usize, s: usize, index: usize): void {
  eachBucket(true, true, false, dy, dyStride, dx, dxStride, w, s, index);
}

/**
 * Walks the buckets of a group, for one tile or twice; `inputs` points at the group's four inputs, `rows` at the block's first row. The index is
 * as it is backward, as `listed` forward.
 */
@inline
function eachBucket(
  transposed: bool, twice: bool, pairs: bool, rows: usize, rowStride: usize, inputs: usize, inputStride: usize, w: usize, s: usize, index: usize,
): void {
  const shift: usize = transposed ? 0 : 1;
  let i = index + (<usize>load<u32>(s) << shift), v = w + (<usize>load<u32>(s, 4) << 2);
  const stop = index + (<usize>load<u32>(s, 8) << shift);
  while (i < stop) {
    const pattern = transposed ? patternAt(i) : <u32>load<u16>(i) >> <u32>FEATURE_SHIFT;
    const last = transposed ? endAt(i) : i + (HEAD << 1) + (<usize>load<u16>(i, 2) >> (FEATURE_SHIFT - 1));
    i += HEAD << shift;
    if (twice && popcnt(pattern) == 2) {
      const a = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT), b = inputs + (<usize>ctz(pattern & (pattern - 1)) << FEATURE_SHIFT);
      v = backward2Twice(rows, rows + rowStride, a, b, a + inputStride, b + inputStride, v, i, last);
    } else {
      if (twice) eachInput(transposed, pairs, rows + rowStride, inputs + inputStride, pattern, v, i, last);
      v = eachInput(transposed, pairs, rows, inputs, pattern, v, i, last);
    }
    i = last;
  }
}

/** A bucket's rows and the inputs that they keep. */
@inline
function eachInput(transposed: bool, pairs: bool, rows: usize, inputs: usize, pattern: u32, v: usize, i: usize, last: usize): usize {
  const a = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
  pattern &= pattern - 1;
  if (pairs ? false : !pattern) return transposed ? backward1(rows, a, v, i, last) : forward1(rows, a, v, i, last);
  const b = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
  pattern &= pattern - 1;
  if (pairs ? true : !pattern) return transposed ? backward2(rows, a, b, v, i, last) : forward2(rows, a, b, v, i, last);
  const c = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
  pattern &= pattern - 1;
  const from = v;
  if (!pattern) {
    for (let h: usize = 0; h < 64; h += SPAN) {
      v = transposed ? backward3(rows + h, a + h, b + h, c + h, from, i, last) : forward3(rows + h, a + h, b + h, c + h, from, i, last);
    }
    return v;
  }
  const d = inputs + (<usize>ctz(pattern) << FEATURE_SHIFT);
  for (let h: usize = 0; h < 64; h += SPAN) {
    v = transposed
      ? backward4(rows + h, a + h, b + h, c + h, d + h, from, i, last)
      : forward4(rows + h, a + h, b + h, c + h, d + h, from, i, last);
  }
  return v;
}
