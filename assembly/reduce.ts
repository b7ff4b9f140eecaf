// Sums whose order does not depend on the number of workers: one partial a chunk, then the partials in order.
import { FEATURE_SHIFT, TILE } from './lanes';

/** partials[c] = sum of squares of chunk c (256 floats), f64, for chunks [begin, end). */
export function sumSquares(partials: usize, x: usize, begin: usize, end: usize): void {
  for (let c = begin; c < end; c++) {
    let a = f64x2.splat(0), b = a;
    for (let i = c << 10; i < (c + 1) << 10; i += 16) {
      const v = v128.load(x + i);
      const low = f64x2.promote_low_f32x4(v), high = f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
      a = f64x2.add(a, f64x2.mul(low, low));
      b = f64x2.add(b, f64x2.mul(high, high));
    }
    a = f64x2.add(a, b);
    store<f64>(partials + (c << 3), f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1));
  }
}

/**
 * norm = sqrt of the sum of n partials; clip = min(1, maxNorm / (norm + 1e-6)), 1 where maxNorm is 0 (PyTorch's
 * clip_grad_norm_). For one unit: [0, 1).
 */
export function clipScale(norm: usize, clip: usize, partials: usize, n: usize, maxNorm: f32, begin: usize, end: usize): void {
  if (begin >= end) return;
  let s: f64 = 0;
  for (let i: usize = 0; i < n; i++) s += load<f64>(partials + (i << 3));
  const length = Math.sqrt(s);
  store<f32>(norm, <f32>length);
  store<f32>(clip, maxNorm > 0 ? <f32>min<f64>(1, <f64>maxNorm / (length + 1e-6)) : 1);
}

/** total[k] += sum over the first `tokens` tokens of x[k]^2, f64, for features [begin, end). x: [tiles][K][16]. */
export function featureSquares(total: usize, x: usize, K: usize, tokens: usize, begin: usize, end: usize): void {
  for (let k = begin; k < end; k++) {
    let s = load<f64>(total + (k << 3));
    for (let token: usize = 0; token < tokens; token++) {
      const v = <f64>load<f32>(x + (((token / TILE) * K + k) << FEATURE_SHIFT) + ((token % TILE) << 2));
      s += v * v;
    }
    store<f64>(total + (k << 3), s);
  }
}

/** x = 0, for chunks [begin, end) of 256 floats. */
export function clear(x: usize, begin: usize, end: usize): void {
  memory.fill(x + (begin << 10), 0, (end - begin) << 10);
}
