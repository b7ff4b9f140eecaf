// Rotary position embedding, rotate-half form (Su et al., arXiv 2104.09864; the layout of Hugging Face's Llama).
//
//   (x1, x2) -> (x1 c - x2 s, x2 c + x1 s),   x1 = x[d], x2 = x[d + headDim / 2], angle by position and d
//
// The backward pass is the rotation by the negative angle.
import { FEATURE_SHIFT, TILE, madd } from './lanes';

/** cos, sin [tiles][half][16] of each token, gathered from tables [positions][half]; for tiles [begin, end). */
export function ropeAngles(
  cos: usize, sin: usize, cosTable: usize, sinTable: usize, positions: usize, half: usize, begin: usize, end: usize,
): void {
  for (let token = begin * TILE; token < end * TILE; token++) {
    const row = <usize>load<u32>(positions + (token << 2)) * half << 2;
    const at = ((token / TILE) * half << FEATURE_SHIFT) + ((token % TILE) << 2);
    for (let d: usize = 0; d < half; d++) {
      store<f32>(cos + at + (d << FEATURE_SHIFT), load<f32>(cosTable + row + (d << 2)));
      store<f32>(sin + at + (d << FEATURE_SHIFT), load<f32>(sinTable + row + (d << 2)));
    }
  }
}

/** y = x rotated by sign (1 or -1) times the angle, for tiles [begin, end). y may be x. x: [tiles][heads * 2 half][16]. */
export function rope(y: usize, x: usize, cos: usize, sin: usize, heads: usize, half: usize, sign: f32, begin: usize, end: usize): void {
  const vs = f32x4.splat(sign), far = half << FEATURE_SHIFT;
  for (let t = begin; t < end; t++) {
    for (let h: usize = 0; h < heads; h++) {
      const at = ((t * heads + h) * half << 1) << FEATURE_SHIFT, angle = (t * half) << FEATURE_SHIFT;
      for (let i: usize = 0; i < far; i += 16) {
        const c = v128.load(cos + angle + i), s = f32x4.mul(vs, v128.load(sin + angle + i));
        const x1 = v128.load(x + at + i), x2 = v128.load(x + at + far + i);
        v128.store(y + at + i, f32x4.sub(f32x4.mul(x1, c), f32x4.mul(x2, s)));
        v128.store(y + at + far + i, madd(x1, s, f32x4.mul(x2, c)));
      }
    }
  }
}
