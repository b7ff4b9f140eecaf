// RMSNorm, forward and backward, tokens in lanes (Zhang & Sennrich, arXiv 1910.07467; Llama's form).
//
//   y = gain * x * rstd,   rstd = 1 / sqrt(mean over features of x^2 + eps)
//
// x, y, dx, dy: [tiles][K][16]; rstd: [tiles][16], saved for the backward pass; gain: [K].
import { FEATURE_SHIFT, madd, splatAt } from './lanes';

/** For tiles [begin, end). */
export function rmsNorm(y: usize, rstd: usize, x: usize, gain: usize, K: usize, eps: f32, begin: usize, end: usize): void {
  for (let t = begin; t < end; t++) {
    for (let lane: usize = 0; lane < 64; lane += 16) {
      let p = x + ((t * K) << FEATURE_SHIFT) + lane;
      let acc = f32x4.splat(0);
      for (let k: usize = 0; k < K; k++, p += 64) acc = madd(v128.load(p), v128.load(p), acc);
      const mean = f32x4.div(acc, f32x4.splat(<f32>K));
      const r = f32x4.div(f32x4.splat(1), f32x4.sqrt(f32x4.add(mean, f32x4.splat(eps))));
      v128.store(rstd + (t << FEATURE_SHIFT) + lane, r);
      p = x + ((t * K) << FEATURE_SHIFT) + lane;
      let o = y + ((t * K) << FEATURE_SHIFT) + lane;
      for (let k: usize = 0; k < K; k++, p += 64, o += 64) {
        v128.store(o, f32x4.mul(splatAt(gain + (k << 2)), f32x4.mul(v128.load(p), r)));
      }
    }
  }
}

/** dx = (init or 0) + rstd (g dy - xhat mean(g dy xhat)), xhat = x rstd, for tiles [begin, end). */
export function rmsNormBackward(
  dx: usize, init: usize, dy: usize, x: usize, rstd: usize, gain: usize, K: usize, begin: usize, end: usize,
): void {
  for (let t = begin; t < end; t++) {
    for (let lane: usize = 0; lane < 64; lane += 16) {
      const at = ((t * K) << FEATURE_SHIFT) + lane, stop = at + (K << FEATURE_SHIFT);
      const r = v128.load(rstd + (t << FEATURE_SHIFT) + lane);
      let acc = f32x4.splat(0);
      for (let i = at, g = gain; i < stop; i += 64, g += 4) {
        acc = madd(f32x4.mul(splatAt(g), v128.load(dy + i)), v128.load(x + i), acc);
      }
      // mean(g dy xhat) rstd, with both factors of xhat taken out of the sums.
      const c = f32x4.mul(f32x4.div(f32x4.mul(acc, r), f32x4.splat(<f32>K)), f32x4.mul(r, r));
      for (let i = at, g = gain; i < stop; i += 64, g += 4) {
        const own = f32x4.mul(r, f32x4.mul(splatAt(g), v128.load(dy + i)));
        let d = f32x4.sub(own, f32x4.mul(c, v128.load(x + i)));
        if (init) d = f32x4.add(d, v128.load(init + i));
        v128.store(dx + i, d);
      }
    }
  }
}

/** dGain += sum over tokens of dy x rstd, for features [begin, end). */
export function rmsNormGainGrad(
  dGain: usize, dy: usize, x: usize, rstd: usize, K: usize, tiles: usize, begin: usize, end: usize,
): void {
  for (let k = begin; k < end; k++) {
    let acc = f32x4.splat(0);
    for (let t: usize = 0; t < tiles; t++) {
      const at = (t * K + k) << FEATURE_SHIFT;
      for (let lane: usize = 0; lane < 64; lane += 16) {
        acc = madd(f32x4.mul(v128.load(dy + at + lane), v128.load(x + at + lane)), v128.load(rstd + (t << FEATURE_SHIFT) + lane), acc);
      }
    }
    const o = dGain + (k << 2);
    store<f32>(o, load<f32>(o) + f32x4.extract_lane(acc, 0) + f32x4.extract_lane(acc, 1) + f32x4.extract_lane(acc, 2) + f32x4.extract_lane(acc, 3));
  }
}
