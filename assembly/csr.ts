// Sparse weights in column-blocked CSR: unstructured masks that keep less than a fifth.
//
//   spmm   Y = W X     spmmT  dX = W' dY     sddmm  H = (dY X') on W's pattern       W is M x K (out x in)
//
// Inputs come in blocks of 256, so that the block's 16 KiB of one tile of x stay in the first-level cache.
//
//   rowPtr  [column blocks][M + 1] u32: where a row's values of this block begin, counted over the whole matrix
//   index   u8 a value: which input of the block
//   values  column block by column block, row by row, inputs ascending
//
// Work splits by tiles (spmm, spmmT) or by rows (merge, sddmm): whoever owns an output sums it alone.
import { FEATURE_SHIFT, SCATTER_TO_TWO_TILES, madd, splatAt, start } from './lanes';

/** Inputs of a column block, as a shift. */
export const COLUMNS_SHIFT: usize = 8;

@inline
export function columnBlocks(K: usize): usize {
  return (K + (<usize>1 << COLUMNS_SHIFT) - 1) >> COLUMNS_SHIFT;
}

/** The input that stands at n of the index, in bytes of features from the block's first. */
@inline
export function inputAt(n: usize): usize {
  return <usize>load<u8>(n) << FEATURE_SHIFT;
}

/** Y = (init or 0) + W X, for tiles [begin, end). y, init: [tiles][M][16]; x: [tiles][K][16]; w: merged f32 values. */
export function spmmCsr(
  y: usize, init: usize, x: usize, w: usize, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  for (let t = begin; t < end; t++) start(y + ((t * M) << FEATURE_SHIFT), init ? init + ((t * M) << FEATURE_SHIFT) : 0, M << FEATURE_SHIFT);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2), block = x + (b << COLUMNS_SHIFT << FEATURE_SHIFT);
    let t = begin;
    // Two tiles a turn share each weight and input.
    for (; t + 2 <= end; t += 2) {
      forward2(y + ((t * M) << FEATURE_SHIFT), M << FEATURE_SHIFT, block + ((t * K) << FEATURE_SHIFT), K << FEATURE_SHIFT, w, rows, index, M);
    }
    if (t < end) forward1(y + ((t * M) << FEATURE_SHIFT), block + ((t * K) << FEATURE_SHIFT), w, rows, index, M);
  }
}

function forward1(y: usize, x: usize, w: usize, rows: usize, index: usize, M: usize): void {
  for (let i: usize = 0; i < M; i++, y += 64) {
    const last = <usize>load<u32>(rows + (i << 2), 4);
    let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
    for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
      const p = x + inputAt(index + n), v = splatAt(w + (n << 2));
      a0 = madd(v, v128.load(p), a0);
      a1 = madd(v, v128.load(p, 16), a1);
      a2 = madd(v, v128.load(p, 32), a2);
      a3 = madd(v, v128.load(p, 48), a3);
    }
    v128.store(y, a0);
    v128.store(y, a1, 16);
    v128.store(y, a2, 32);
    v128.store(y, a3, 48);
  }
}

/**
 * The loop ends between its two tiles, so that each is a block of its own: V8 (Node 20) moves a block's loads to its
 * start, and those of both would not fit the registers beside the sums.
 */
function forward2(y: usize, yStride: usize, x: usize, xStride: usize, w: usize, rows: usize, index: usize, M: usize): void {
  for (let i: usize = 0; i < M; i++, y += 64) {
    let n = <usize>load<u32>(rows + (i << 2));
    const last = <usize>load<u32>(rows + (i << 2), 4), z = y + yStride;
    if (n == last) continue;
    let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
    let b0 = v128.load(z), b1 = v128.load(z, 16), b2 = v128.load(z, 32), b3 = v128.load(z, 48);
    let p = x + inputAt(index + n), v = splatAt(w + (n << 2));
    while (true) {
      a0 = madd(v, v128.load(p), a0);
      a1 = madd(v, v128.load(p, 16), a1);
      a2 = madd(v, v128.load(p, 32), a2);
      a3 = madd(v, v128.load(p, 48), a3);
      p += xStride;
      if (++n == last) break;
      b0 = madd(v, v128.load(p), b0);
      b1 = madd(v, v128.load(p, 16), b1);
      b2 = madd(v, v128.load(p, 32), b2);
      b3 = madd(v, v128.load(p, 48), b3);
      p = x + inputAt(index + n), v = splatAt(w + (n << 2));
    }
    v128.store(y, a0);
    v128.store(y, a1, 16);
    v128.store(y, a2, 32);
    v128.store(y, a3, 48);
    v128.store(z, madd(v, v128.load(p), b0));
    v128.store(z, madd(v, v128.load(p, 16), b1), 16);
    v128.store(z, madd(v, v128.load(p, 32), b2), 32);
    v128.store(z, madd(v, v128.load(p, 48), b3), 48);
  }
}

/** dX = (init or 0) + W' dY, for tiles [begin, end). dx, init: [tiles][K][16]; dy: [tiles][M][16]. */
export function spmmTCsr(
  dx: usize, init: usize, dy: usize, w: usize, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  for (let t = begin; t < end; t++) start(dx + ((t * K) << FEATURE_SHIFT), init ? init + ((t * K) << FEATURE_SHIFT) : 0, K << FEATURE_SHIFT);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2), block = dx + (b << COLUMNS_SHIFT << FEATURE_SHIFT);
    let t = begin;
    for (; SCATTER_TO_TWO_TILES && t + 2 <= end; t += 2) {
      backward2(block + ((t * K) << FEATURE_SHIFT), K << FEATURE_SHIFT, dy + ((t * M) << FEATURE_SHIFT), M << FEATURE_SHIFT, w, rows, index, M);
    }
    for (; t < end; t++) backward1(block + ((t * K) << FEATURE_SHIFT), dy + ((t * M) << FEATURE_SHIFT), w, rows, index, M);
  }
}

function backward1(dx: usize, dy: usize, w: usize, rows: usize, index: usize, M: usize): void {
  for (let i: usize = 0; i < M; i++, dy += 64) {
    const last = <usize>load<u32>(rows + (i << 2), 4);
    const p0 = v128.load(dy), p1 = v128.load(dy, 16), p2 = v128.load(dy, 32), p3 = v128.load(dy, 48);
    for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
      const o = dx + inputAt(index + n), v = splatAt(w + (n << 2));
      v128.store(o, madd(v, p0, v128.load(o)));
      v128.store(o, madd(v, p1, v128.load(o, 16)), 16);
      v128.store(o, madd(v, p2, v128.load(o, 32)), 32);
      v128.store(o, madd(v, p3, v128.load(o, 48)), 48);
    }
  }
}

function backward2(dx: usize, dxStride: usize, dy: usize, dyStride: usize, w: usize, rows: usize, index: usize, M: usize): void {
  for (let i: usize = 0; i < M; i++, dy += 64) {
    const last = <usize>load<u32>(rows + (i << 2), 4), dz = dy + dyStride;
    const p0 = v128.load(dy), p1 = v128.load(dy, 16), p2 = v128.load(dy, 32), p3 = v128.load(dy, 48);
    const q0 = v128.load(dz), q1 = v128.load(dz, 16), q2 = v128.load(dz, 32), q3 = v128.load(dz, 48);
    for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
      const o = dx + inputAt(index + n), r = o + dxStride, v = splatAt(w + (n << 2));
      v128.store(o, madd(v, p0, v128.load(o)));
      v128.store(o, madd(v, p1, v128.load(o, 16)), 16);
      v128.store(o, madd(v, p2, v128.load(o, 32)), 32);
      v128.store(o, madd(v, p3, v128.load(o, 48)), 48);
      v128.store(r, madd(v, q0, v128.load(r)));
      v128.store(r, madd(v, q1, v128.load(r, 16)), 16);
      v128.store(r, madd(v, q2, v128.load(r, 32)), 32);
      v128.store(r, madd(v, q3, v128.load(r, 48)), 48);
    }
  }
}
