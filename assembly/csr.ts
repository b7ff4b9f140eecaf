// Sparse weights in column-blocked CSR: unstructured masks well below half density.
//
//   spmm   Y = W X     spmmT  dX = W' dY     sddmm  H = (dY X') on W's pattern       W is M x K (out x in)
//
// Inputs come in blocks of 256, so that the block's 16 KiB of one tile of x stay in the first-level cache.
//
//   rowPtr  [column blocks][M + 1] u32: where a row's values of this block begin, counted over the whole matrix
//   index   u16 a value: (input in block) * 64
//   values  column block by column block, row by row, inputs ascending
//
// Work splits by tiles (spmm, spmmT) or by rows (merge, sddmm): whoever owns an output sums it alone.
import { FEATURE_SHIFT, madd, splatAt, start } from './lanes';

/** Inputs of a column block, as a shift. */
export const COLUMNS_SHIFT: usize = 8;

@inline
export function columnBlocks(K: usize): usize {
  return (K + (<usize>1 << COLUMNS_SHIFT) - 1) >> COLUMNS_SHIFT;
}

/** Y = (init or 0) + W X, for tiles [begin, end). y, init: [tiles][M][16]; x: [tiles][K][16]; w: merged f32 values. */
export function spmmCsr(
  y: usize, init: usize, x: usize, w: usize, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  for (let t = begin; t < end; t++) start(y + ((t * M) << FEATURE_SHIFT), init ? init + ((t * M) << FEATURE_SHIFT) : 0, M << FEATURE_SHIFT);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2);
    let t = begin;
    // Two tiles a turn share each weight and index.
    for (; t + 2 <= end; t += 2) {
      forward2(y + ((t * M) << FEATURE_SHIFT), M << FEATURE_SHIFT, x + ((t * K + (b << COLUMNS_SHIFT)) << FEATURE_SHIFT), K << FEATURE_SHIFT, w, rows, index, M);
    }
    if (t < end) forward1(y + ((t * M) << FEATURE_SHIFT), x + ((t * K + (b << COLUMNS_SHIFT)) << FEATURE_SHIFT), w, rows, index, M);
  }
}

function forward1(y: usize, x: usize, w: usize, rows: usize, index: usize, M: usize): void {
  for (let i: usize = 0; i < M; i++, y += 64) {
    const last = <usize>load<u32>(rows + (i << 2), 4);
    let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
    for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
      const p = x + <usize>load<u16>(index + (n << 1)), v = splatAt(w + (n << 2));
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

function forward2(y: usize, yStride: usize, x: usize, xStride: usize, w: usize, rows: usize, index: usize, M: usize): void {
  for (let i: usize = 0; i < M; i++, y += 64) {
    const last = <usize>load<u32>(rows + (i << 2), 4), z = y + yStride;
    let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
    let b0 = v128.load(z), b1 = v128.load(z, 16), b2 = v128.load(z, 32), b3 = v128.load(z, 48);
    for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
      const p = x + <usize>load<u16>(index + (n << 1)), q = p + xStride, v = splatAt(w + (n << 2));
      a0 = madd(v, v128.load(p), a0);
      a1 = madd(v, v128.load(p, 16), a1);
      a2 = madd(v, v128.load(p, 32), a2);
      a3 = madd(v, v128.load(p, 48), a3);
      b0 = madd(v, v128.load(q), b0);
      b1 = madd(v, v128.load(q, 16), b1);
      b2 = madd(v, v128.load(q, 32), b2);
      b3 = madd(v, v128.load(q, 48), b3);
    }
    v128.store(y, a0);
    v128.store(y, a1, 16);
    v128.store(y, a2, 32);
    v128.store(y, a3, 48);
    v128.store(z, b0);
    v128.store(z, b1, 16);
    v128.store(z, b2, 32);
    v128.store(z, b3, 48);
  }
}

/** dX = (init or 0) + W' dY, for tiles [begin, end). dx, init: [tiles][K][16]; dy: [tiles][M][16]. */
export function spmmTCsr(
  dx: usize, init: usize, dy: usize, w: usize, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  for (let t = begin; t < end; t++) start(dx + ((t * K) << FEATURE_SHIFT), init ? init + ((t * K) << FEATURE_SHIFT) : 0, K << FEATURE_SHIFT);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2);
    for (let t = begin; t < end; t++) {
      const out = dx + ((t * K + (b << COLUMNS_SHIFT)) << FEATURE_SHIFT), d = dy + ((t * M) << FEATURE_SHIFT);
      for (let i: usize = 0; i < M; i++) {
        const p = d + (i << FEATURE_SHIFT), last = <usize>load<u32>(rows + (i << 2), 4);
        const p0 = v128.load(p), p1 = v128.load(p, 16), p2 = v128.load(p, 32), p3 = v128.load(p, 48);
        for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
          const o = out + <usize>load<u16>(index + (n << 1)), v = splatAt(w + (n << 2));
          v128.store(o, madd(v, p0, v128.load(o)));
          v128.store(o, madd(v, p1, v128.load(o, 16)), 16);
          v128.store(o, madd(v, p2, v128.load(o, 32)), 32);
          v128.store(o, madd(v, p3, v128.load(o, 48)), 48);
        }
      }
    }
  }
}
