// RMSNorm, forward and backward, tokens in lanes (Zhang & Sennrich, arXiv 1910.07467; Llama's form).
//
//   y = gain * x * rstd,   rstd = 1 / sqrt(mean over features of x^2 + eps)
//
// x, y, dx, dy: [tiles][K][16]; rstd: [tiles][16], saved for the backward pass; gain: [K].
import { FEATURE_SHIFT, madd, splatAt } from './lanes';

/** For tiles [begin, end). */
export function rmsNorm(y: usize, rstd: usize, x: usize, gain: usize, K: usize, eps: f32, begin: usize, end: usize): void {
  for (let t = begin; t < end; t++) {
    const at = (t * K) << FEATURE_SHIFT, from = x + at, to = from + (K << FEATURE_SHIFT), r = rstd + (t << FEATURE_SHIFT);
    let a = f32x4.splat(0), b = a, c = a, d = a;
    for (let p = from; p < to; p += 64) {
      const v = v128.load(p), w = v128.load(p, 16), u = v128.load(p, 32), s = v128.load(p, 48);
      a = madd(v, v, a);
      b = madd(w, w, b);
      c = madd(u, u, c);
      d = madd(s, s, d);
    }
    a = inverseRoot(a, K, eps), b = inverseRoot(b, K, eps), c = inverseRoot(c, K, eps), d = inverseRoot(d, K, eps);
    v128.store(r, b, 16);
    v128.store(r, a);
    v128.store(r, d, 48);
    v128.store(r, c, 32);
    for (let p = from, o = y + at, g = gain; p < to; p += 64, o += 64, g += 4) {
      const s = splatAt(g);
      v128.store(o, f32x4.mul(s, f32x4.mul(v128.load(p, 16), b)), 16);
      v128.store(o, f32x4.mul(s, f32x4.mul(v128.load(p), a)));
      v128.store(o, f32x4.mul(s, f32x4.mul(v128.load(p, 48), d)), 48);
      v128.store(o, f32x4.mul(s, f32x4.mul(v128.load(p, 32), c)), 32);
    }
  }
}

/** 1 / sqrt(sum / K + eps). */
@inline
function inverseRoot(sum: v128, K: usize, eps: f32): v128 {
  const mean = f32x4.div(sum, f32x4.splat(<f32>K));
  return f32x4.div(f32x4.splat(1), f32x4.sqrt(f32x4.add(mean, f32x4.splat(eps))));
}

/** dx = (init or 0) + rstd (g dy - xhat mean(g dy xhat)), xhat = x rstd, for tiles [begin, end). */
export function rmsNormBackward(
  dx: usize, init: usize, dy: usize, x: usize, rstd: usize, gain: usize, K: usize, begin: usize, end: usize,
): void {
  for (let t = begin; t < end; t++) {
    // Half a tile at a time, since the sums, their factors and what they are made of are in registers together.
    for (let lane: usize = 0; lane < 64; lane += 32) {
      const at = ((t * K) << FEATURE_SHIFT) + lane, stop = at + (K << FEATURE_SHIFT), rp = rstd + (t << FEATURE_SHIFT) + lane;
      const r = v128.load(rp), s = v128.load(rp, 16);
      let a = f32x4.splat(0), b = a;
      for (let i = at, g = gain; i < stop; i += 64, g += 4) {
        const w = splatAt(g);
        a = madd(f32x4.mul(w, v128.load(dy + i)), v128.load(x + i), a);
        b = madd(f32x4.mul(w, v128.load(dy + i, 16)), v128.load(x + i, 16), b);
      }
      const c = meanFactor(a, r, K), d = meanFactor(b, s, K);
      for (let i = at, g = gain; i < stop; i += 64, g += 4) {
        const w = splatAt(g);
        let p = f32x4.sub(f32x4.mul(r, f32x4.mul(w, v128.load(dy + i))), f32x4.mul(c, v128.load(x + i)));
        let q = f32x4.sub(f32x4.mul(s, f32x4.mul(w, v128.load(dy + i, 16))), f32x4.mul(d, v128.load(x + i, 16)));
        if (init) {
          p = f32x4.add(p, v128.load(init + i));
          q = f32x4.add(q, v128.load(init + i, 16));
        }
        v128.store(dx + i, p);
        v128.store(dx + i, q, 16);
      }
    }
  }
}

/** mean(g dy xhat) rstd, with both factors of xhat taken out of the sums. */
@inline
function meanFactor(sum: v128, r: v128, K: usize): v128 {
  return f32x4.mul(f32x4.div(f32x4.mul(sum, r), f32x4.splat(<f32>K)), f32x4.mul(r, r));
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
