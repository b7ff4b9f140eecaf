// Sparse weights in column-blocked CSR: masks that keep few (src/sparse/choose.ts).
//
//   spmm   Y = W X     spmmT  dX = W' dY     sddmm  H = (dY X') on W's pattern       W is M x K (out x in)
//
// Inputs come in blocks of 256, so that the block's 16 KiB of one tile of x stay in the first-level cache.
//
//   rowPtr  [column blocks][M + 1] u32: where a row's values of this block begin, counted over the whole matrix
//   index   u8 a value: which input of the block
//   values  column block by column block, row by row, inputs ascending
//
// Adding W' dY up by these would store a feature of dX for every weight, and a CPU stores half as fast as it loads. So
// the merged values and their index are sorted into those of W' in scratch first, for each use: a few ns a value.
//
//   colPtr  [blocks of 256 rows][column blocks][257] u32: where an input's values of this block of rows begin
//   index   u8 a value: which row of the block
//   values  column block by column block, row block by row block, input by input, rows ascending
//
// Work splits by pairs of tiles and strips of the output (spmm, spmmT), by rows (merge, sddmm) or by blocks of rows and inputs (transpose): whoever owns an
// output sums it alone.
import { ENDS_BETWEEN_TILES, FEATURE_SHIFT, fetchFeatures, madd, splatAt, start } from './lanes';

/** Inputs of a column block, and rows of a block of W', as a shift. */
export const COLUMNS_SHIFT: usize = 8;
const BLOCK: usize = 1 << COLUMNS_SHIFT;
/** Most features of the output in a unit: who takes many tiles of them reads only their weights. */
const STRIP: usize = 1024;
/** Pointers of a block of rows and inputs: where each input's values begin, and where the last one's end. */
const POINTERS: usize = BLOCK + 1;

@inline
export function columnBlocks(K: usize): usize {
  return (K + BLOCK - 1) >> COLUMNS_SHIFT;
}

/** The input (or row) that stands at n of the index, in bytes of features from the block's first. */
@inline
export function inputAt(n: usize): usize {
  return <usize>load<u8>(n) << FEATURE_SHIFT;
}

/**
 * Y = (init or 0) + W X, for units [begin, end): pairs of tiles of a strip of 1024 rows, strip by strip. y, init: [tiles][M][16];
 * x: [tiles][K][16]; w: merged f32 values.
 */
export function spmmCsr(
  y: usize, init: usize, x: usize, w: usize, rowPtr: usize, index: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  multiply(false, y, init, M, x, K, w, rowPtr, index, tiles, begin, end);
}

/**
 * dX = (init or 0) + W' dY, for units [begin, end): pairs of tiles of a strip of 1024 inputs, strip by strip. dx, init: [tiles][K][16];
 * dy: [tiles][M][16]; w, colPtr, index: of transposeCsr.
 */
export function spmmTCsr(
  dx: usize, init: usize, dy: usize, w: usize, colPtr: usize, index: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  multiply(true, dx, init, K, dy, M, w, colPtr, index, tiles, begin, end);
}

/**
 * Both directions: out, of so many features, is y or dx, and x, of so many inputs, what is read: a block of 256 of them is in the first-level
 * cache for all of a strip that they are added to.
 */
function multiply(
  transposed: bool, out: usize, init: usize, features: usize, x: usize, inputs: usize, w: usize, pointers: usize, index: usize,
  tiles: usize, begin: usize, end: usize,
): void {
  const pairs = (tiles + 1) >> 1, outBytes = features << FEATURE_SHIFT, xBytes = inputs << FEATURE_SHIFT;
  while (begin < end) {
    const first = begin / pairs * STRIP, count = min(STRIP, features - first);
    // The pointers of W' come by blocks of its features, those of W for all in one.
    const most = transposed ? BLOCK : count;
    const from = begin % pairs << 1, to = min(tiles, from + (end - begin << 1));
    begin += (to - from + 1) >> 1;
    for (let t = from; t < to; t++) {
      const at = t * outBytes + (first << FEATURE_SHIFT);
      start(out + at, init ? init + at : 0, count << FEATURE_SHIFT);
    }
    for (let b: usize = 0; b < columnBlocks(inputs); b++) {
      const width = min(BLOCK, inputs - (b << COLUMNS_SHIFT));
      for (let t = from; t < to; t += 2) {
        const block = x + t * xBytes + (b << COLUMNS_SHIFT << FEATURE_SHIFT), both: usize = t + 1 < to ? 1 : 0;
        fetchFeatures(block, width);
        fetchFeatures(block + xBytes * both, width);
        for (let i: usize = 0; i < count; i += most) {
          const f = first + i, o = out + t * outBytes + (f << FEATURE_SHIFT);
          const lists = pointers + ((transposed ? (b * columnBlocks(features) + (f >> COLUMNS_SHIFT)) * POINTERS : b * (features + 1) + f) << 2);
          two(o, outBytes * both, block, xBytes * both, w, lists, index, min(most, count - i));
        }
      }
    }
  }
}

/**
 * Adds to `count` features of y, of two tiles, the products that `rows` lists for each: features of x and w. The tiles share each weight and what is
 * listed; where there is one they are the same, done twice over. Each is a block of its own, with a way out between them: V8 moves
 * a block's loads to its start, and those of both would not fit the registers beside the sums.
 */
function two(y: usize, yStride: usize, x: usize, xStride: usize, w: usize, rows: usize, index: usize, count: usize): void {
  for (let i: usize = 0; i < count; i++, y += 64) {
    const n = <usize>load<u32>(rows + (i << 2)), z = y + yStride;
    let listed = index + n, value = w + (n << 2);
    const last = w + (<usize>load<u32>(rows + (i << 2), 4) << 2);
    if (value == last) continue;
    let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
    let b0 = v128.load(z), b1 = v128.load(z, 16), b2 = v128.load(z, 32), b3 = v128.load(z, 48);
    let p: usize, v: v128;
    do {
      p = x + inputAt(listed), v = splatAt(value);
      listed++;
      value += 4;
      a0 = madd(v, v128.load(p), a0);
      a1 = madd(v, v128.load(p, 16), a1);
      a2 = madd(v, v128.load(p, 32), a2);
      a3 = madd(v, v128.load(p, 48), a3);
      p += xStride;
      // No address is 0: that way is never taken.
      if (ENDS_BETWEEN_TILES ? value == last : !p) break;
      b0 = madd(v, v128.load(p), b0);
      b1 = madd(v, v128.load(p, 16), b1);
      b2 = madd(v, v128.load(p, 32), b2);
      b3 = madd(v, v128.load(p, 48), b3);
    } while (ENDS_BETWEEN_TILES || value < last);
    if (ENDS_BETWEEN_TILES) {
      b0 = madd(v, v128.load(p), b0);
      b1 = madd(v, v128.load(p, 16), b1);
      b2 = madd(v, v128.load(p, 32), b2);
      b3 = madd(v, v128.load(p, 48), b3);
    }
    v128.store(y, a1, 16);
    v128.store(y, a0);
    v128.store(y, a3, 48);
    v128.store(y, a2, 32);
    v128.store(z, b1, 16);
    v128.store(z, b0);
    v128.store(z, b3, 48);
    v128.store(z, b2, 32);
  }
}

/**
 * The values and the index of W' from those of W, for blocks [begin, end) of 256 rows and inputs: a block's values stand in the
 * same range in both, sorted by input by counting.
 */
export function transposeCsr(
  wT: usize, colPtr: usize, indexT: usize, w: usize, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const width = columnBlocks(K);
  for (let block = begin; block < end; block++) {
    const first = (block / width) << COLUMNS_SHIFT, height = min(BLOCK, M - first);
    const rows = rowPtr + ((block % width * (M + 1) + first) << 2), next = colPtr + ((block * POINTERS) << 2);
    let at = load<u32>(rows);
    const stop = <usize>load<u32>(rows + (height << 2));
    memory.fill(next, 0, POINTERS << 2);
    // What the block's values go to is written line by line while they are counted: scattered among lines that are not in the caches,
    // each store would wait for its own, one after the other.
    for (let n: usize = at; n < stop; ) {
      store<u32>(wT + (n << 2), 0);
      store<u8>(indexT + n, 0);
      for (const line = min(n + 16, stop); n < line; n++) {
        const c = next + (<usize>load<u8>(index + n) << 2);
        store<u32>(c, load<u32>(c, 4) + 1, 4);
      }
    }
    store<u32>(next, at);
    // After each input's pointer, where its values begin; every value moves that on by one, at last to where the next one's begin.
    for (let c = next + 4; c < next + (POINTERS << 2); c += 4) {
      const n = load<u32>(c);
      store<u32>(c, at);
      at += n;
    }
    for (let i: usize = 0; i < height; i++) {
      const last = <usize>load<u32>(rows + (i << 2), 4);
      for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
        const c = next + (<usize>load<u8>(index + n) << 2), o = <usize>load<u32>(c, 4);
        store<u32>(c, <u32>o + 1, 4);
        store<f32>(wT + (o << 2), load<f32>(w + (n << 2)));
        store<u8>(indexT + o, i);
      }
    }
  }
}
