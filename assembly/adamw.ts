// AdamW (Loshchilov & Hutter, arXiv 1711.05101), PyTorch's form, fused over one flat run of parameters.
//
//   g = gradient * clip;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   p = p (1 - lr decay) - lr (m c1) / (sqrt(v c2) + eps),   c1 = 1 / (1 - b1^t), c2 = 1 / (1 - b2^t)
//
// hyper: f32 [lr, b1, b2, eps, c1, c2, clip]. All buffers are padded to whole chunks of 256 floats.
import { madd, splatAt } from './lanes';

/** For chunks [begin, end) of 256 floats. */
export function adamw(
  parameters: usize, m: usize, v: usize, gradients: usize, hyper: usize, decay: f32, begin: usize, end: usize,
): void {
  const lr = splatAt(hyper), b1 = splatAt(hyper + 4), b2 = splatAt(hyper + 8), eps = splatAt(hyper + 12);
  const c1 = splatAt(hyper + 16), c2 = splatAt(hyper + 20), clip = splatAt(hyper + 24);
  const one = f32x4.splat(1);
  const rest1 = f32x4.sub(one, b1), rest2 = f32x4.sub(one, b2);
  const shrink = f32x4.sub(one, f32x4.mul(lr, f32x4.splat(decay)));
  for (let i = begin << 10; i < end << 10; i += 16) {
    const g = f32x4.mul(v128.load(gradients + i), clip);
    const m1 = madd(b1, v128.load(m + i), f32x4.mul(rest1, g));
    const v1 = madd(b2, v128.load(v + i), f32x4.mul(rest2, f32x4.mul(g, g)));
    v128.store(m + i, m1);
    v128.store(v + i, v1);
    const step = f32x4.div(f32x4.mul(m1, c1), f32x4.add(f32x4.sqrt(f32x4.mul(v1, c2)), eps));
    v128.store(parameters + i, f32x4.sub(f32x4.mul(v128.load(parameters + i), shrink), f32x4.mul(lr, step)));
  }
}
