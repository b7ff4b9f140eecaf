// What a low-rank adapter needs of column-blocked CSR (layout: csr.ts): merge, sampled product, exact factor gradients.
//
//   up [M][r], downT [K][r], both f32 with r padded to a multiple of 4 by zeros; H and the merged values stand in the
//   order of W's values.
import { COLUMNS_SHIFT, columnBlocks, inputAt } from './csr';
import { FEATURE_SHIFT, dot, dotTile, dots4, madd, splatAt, start, sum, sums4, weightAt, weights4 } from './lanes';

/** merged = (W + s up downT') on the pattern, for rows [begin, end); rank 0 only unpacks W to f32, and with no values W is 0. */
export function mergeCsr(
  merged: usize, values: usize, dtype: i32, up: usize, downT: usize, rank: usize, scaling: f32,
  rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, vs = f32x4.splat(scaling);
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2), d = downT + (b << COLUMNS_SHIFT) * row;
    for (let i = begin; i < end; i++) {
      const u = up + i * row, last = <usize>load<u32>(rows + (i << 2), 4);
      let n = <usize>load<u32>(rows + (i << 2));
      for (; n + 4 <= last; n += 4) {
        const c = index + n;
        const update = dots4(
          u, d + <usize>load<u8>(c) * row, u, d + <usize>load<u8>(c, 1) * row,
          u, d + <usize>load<u8>(c, 2) * row, u, d + <usize>load<u8>(c, 3) * row, rank,
        );
        const w = values ? weights4(values, n, dtype) : f32x4.splat(0);
        v128.store(merged + (n << 2), f32x4.add(w, f32x4.mul(vs, update)));
      }
      for (; n < last; n++) {
        const c = d + <usize>load<u8>(index + n) * row;
        store<f32>(merged + (n << 2), (values ? weightAt(values, n, dtype) : 0) + scaling * dot(u, c, rank));
      }
    }
  }
}

/**
 * H = (init or 0) + dY X' on W's pattern, summed over `tiles` tiles, for rows [begin, end).
 * h, init: f32 in the order of W's values; dy: [tiles][M][16]; x: [tiles][K][16].
 */
export function sddmmCsr(
  h: usize, init: usize, dy: usize, x: usize, rowPtr: usize, index: usize, M: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  const zero = f32x4.splat(0);
  if (begin >= end) return;
  for (let b: usize = 0; b < columnBlocks(K); b++) {
    const rows = rowPtr + (b * (M + 1) << 2);
    const at = <usize>load<u32>(rows + (begin << 2)) << 2;
    start(h + at, init ? init + at : 0, (<usize>load<u32>(rows + (end << 2)) << 2) - at);
    for (let t: usize = 0; t < tiles; t++) {
      const xb = x + ((t * K + (b << COLUMNS_SHIFT)) << FEATURE_SHIFT);
      for (let i = begin; i < end; i++) {
        const p = dy + ((t * M + i) << FEATURE_SHIFT), last = <usize>load<u32>(rows + (i << 2), 4);
        let n = <usize>load<u32>(rows + (i << 2));
        for (; n + 4 <= last; n += 4) {
          const c = index + n, o = h + (n << 2);
          v128.store(o, f32x4.add(v128.load(o), sums4(
            dotTile(p, xb + inputAt(c), zero), dotTile(p, xb + inputAt(c + 1), zero),
            dotTile(p, xb + inputAt(c + 2), zero), dotTile(p, xb + inputAt(c + 3), zero),
          )));
        }
        for (; n < last; n++) {
          const o = h + (n << 2);
          store<f32>(o, load<f32>(o) + sum(dotTile(p, xb + inputAt(index + n), zero)));
        }
      }
    }
  }
}

/** dUp[i] += s sum_j H[i, j] downT[j], for four ranks at a time: quads of the rank [begin, end). dUp: [M][r]. */
export function upGradCsr(
  dUp: usize, h: usize, downT: usize, rank: usize, scaling: f32, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, vs = f32x4.splat(scaling);
  for (let q = begin; q < end; q++) {
    for (let b: usize = 0; b < columnBlocks(K); b++) {
      const rows = rowPtr + (b * (M + 1) << 2), d = downT + (b << COLUMNS_SHIFT) * row + (q << 4);
      for (let i: usize = 0; i < M; i++) {
        const o = dUp + i * row + (q << 4), last = <usize>load<u32>(rows + (i << 2), 4);
        let acc = v128.load(o);
        for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
          const c = d + <usize>load<u8>(index + n) * row;
          acc = madd(f32x4.mul(vs, splatAt(h + (n << 2))), v128.load(c), acc);
        }
        v128.store(o, acc);
      }
    }
  }
}

/** dDownT[j] += s sum_i H[i, j] up[i], for four ranks at a time: quads of the rank [begin, end). dDownT: [K][r]. */
export function downGradCsr(
  dDownT: usize, h: usize, up: usize, rank: usize, scaling: f32, rowPtr: usize, index: usize, M: usize, K: usize, begin: usize, end: usize,
): void {
  const row = rank << 2, vs = f32x4.splat(scaling);
  for (let q = begin; q < end; q++) {
    for (let b: usize = 0; b < columnBlocks(K); b++) {
      const rows = rowPtr + (b * (M + 1) << 2), d = dDownT + (b << COLUMNS_SHIFT) * row + (q << 4);
      for (let i: usize = 0; i < M; i++) {
        const u = f32x4.mul(vs, v128.load(up + i * row + (q << 4))), last = <usize>load<u32>(rows + (i << 2), 4);
        for (let n = <usize>load<u32>(rows + (i << 2)); n < last; n++) {
          const o = d + <usize>load<u8>(index + n) * row;
          v128.store(o, madd(splatAt(h + (n << 2)), u, v128.load(o)));
        }
      }
    }
  }
}
