// SwiGLU (Shazeer, arXiv 2002.05202): y = silu(gate) up, silu(g) = g sigmoid(g). All are [tiles][F][16]; scratch is the
// worker's own.
import { FEATURE_SHIFT } from './lanes';
import { UPPER, expTable, sigmoidBy } from './math';

/** For tiles [begin, end). */
export function swiglu(y: usize, gate: usize, up: usize, F: usize, scratch: usize, begin: usize, end: usize): void {
  expTable(scratch);
  for (let i = (begin * F) << FEATURE_SHIFT; i < (end * F) << FEATURE_SHIFT; i += 32) {
    const g = v128.load(gate + i), h = v128.load(gate + i, 16);
    const low = f32x4.mul(f32x4.mul(g, sigmoidBy(scratch, g)), v128.load(up + i));
    v128.store(y + i, f32x4.mul(f32x4.mul(h, sigmoidBy(scratch + UPPER, h)), v128.load(up + i, 16)), 16);
    v128.store(y + i, low);
  }
}

/** dGate = dy up silu'(gate), dUp = dy silu(gate), for tiles [begin, end). dGate and dUp may be gate and up. */
export function swigluBackward(dGate: usize, dUp: usize, dy: usize, gate: usize, up: usize, F: usize, scratch: usize, begin: usize, end: usize): void {
  expTable(scratch);
  const one = f32x4.splat(1);
  for (let i = (begin * F) << FEATURE_SHIFT; i < (end * F) << FEATURE_SHIFT; i += 32) {
    const g = v128.load(gate + i), u = v128.load(up + i), d = v128.load(dy + i), s = sigmoidBy(scratch, g);
    const h = v128.load(gate + i, 16), v = v128.load(up + i, 16), e = v128.load(dy + i, 16), r = sigmoidBy(scratch + UPPER, h);
    v128.store(dGate + i, f32x4.mul(f32x4.mul(e, v), slope(one, h, r)), 16);
    v128.store(dGate + i, f32x4.mul(f32x4.mul(d, u), slope(one, g, s)));
    v128.store(dUp + i, f32x4.mul(e, f32x4.mul(h, r)), 16);
    v128.store(dUp + i, f32x4.mul(d, f32x4.mul(g, s)));
  }
}

/** silu'(g), s = sigmoid(g). */
@inline
function slope(one: v128, g: v128, s: v128): v128 {
  return f32x4.mul(s, f32x4.add(one, f32x4.mul(g, f32x4.sub(one, s))));
}
