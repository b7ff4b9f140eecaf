// The products of attention's tiles: sixteen tokens in the lanes by sixteen others (layout: attention.ts).
import { FEATURE_SHIFT, TILE, WIDE_LANES, madd } from './lanes';
import { projectTile } from './lowRank';

/** s[j] = scaling * sum_d lanes[d] * splat of others[d][j], j < 16: the 16 x 16 products of two tiles of one head. */
export function products(s: usize, lanes: usize, others: usize, D: usize, scaling: f32): void {
  if (WIDE_LANES) {
    for (let j: usize = 0; j < TILE; j += 4) projectTile(s + (j << FEATURE_SHIFT), lanes, others + (j << 2), D, 64, scaling);
    return;
  }
  const vs = f32x4.splat(scaling);
  for (let j: usize = 0; j < TILE; j += 2) {
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let p = lanes, q = others + (j << 2);
    for (const last = lanes + (D << FEATURE_SHIFT); p < last; p += 64, q += 64) {
      const a = v128.load32_splat(q), b = v128.load32_splat(q, 4);
      const p0 = v128.load(p), p1 = v128.load(p, 16), p2 = v128.load(p, 32), p3 = v128.load(p, 48);
      a0 = madd(a, p0, a0);
      b0 = madd(b, p0, b0);
      a1 = madd(a, p1, a1);
      b1 = madd(b, p1, b1);
      a2 = madd(a, p2, a2);
      b2 = madd(b, p2, b2);
      a3 = madd(a, p3, a3);
      b3 = madd(b, p3, b3);
    }
    const o = s + (j << FEATURE_SHIFT);
    v128.store(o, f32x4.mul(vs, a0));
    v128.store(o, f32x4.mul(vs, a1), 16);
    v128.store(o, f32x4.mul(vs, a2), 32);
    v128.store(o, f32x4.mul(vs, a3), 48);
    v128.store(o, f32x4.mul(vs, b0), 64);
    v128.store(o, f32x4.mul(vs, b1), 80);
    v128.store(o, f32x4.mul(vs, b2), 96);
    v128.store(o, f32x4.mul(vs, b3), 112);
  }
}

/** out[d] += sum_j coefficients[j] * splat of others[d][j], j < 16. Two features a turn share the coefficients; D is even. */
export function combine(out: usize, coefficients: usize, others: usize, D: usize): void {
  const stop = out + (D << FEATURE_SHIFT);
  if (WIDE_LANES) {
    for (; out + 256 <= stop; out += 256, others += 256) combineFour(out, coefficients, others);
  }
  for (; out < stop; out += 128, others += 128) {
    let a0 = v128.load(out), a1 = v128.load(out, 16), a2 = v128.load(out, 32), a3 = v128.load(out, 48);
    let b0 = v128.load(out, 64), b1 = v128.load(out, 80), b2 = v128.load(out, 96), b3 = v128.load(out, 112);
    for (let c = coefficients, s = others, last = others + 64; s < last; c += 64, s += 4) {
      const a = v128.load32_splat(s), b = v128.load32_splat(s, 64);
      const c0 = v128.load(c), c1 = v128.load(c, 16), c2 = v128.load(c, 32), c3 = v128.load(c, 48);
      a0 = madd(a, c0, a0);
      b0 = madd(b, c0, b0);
      a1 = madd(a, c1, a1);
      b1 = madd(b, c1, b1);
      a2 = madd(a, c2, a2);
      b2 = madd(b, c2, b2);
      a3 = madd(a, c3, a3);
      b3 = madd(b, c3, b3);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out, a2, 32);
    v128.store(out, a3, 48);
    v128.store(out, b0, 64);
    v128.store(out, b1, 80);
    v128.store(out, b2, 96);
    v128.store(out, b3, 112);
  }
}

/** Four features a turn: sixteen sums, eight once V8 has paired them. */
function combineFour(out: usize, coefficients: usize, others: usize): void {
  let a0 = v128.load(out), a1 = v128.load(out, 16), a2 = v128.load(out, 32), a3 = v128.load(out, 48);
  let b0 = v128.load(out, 64), b1 = v128.load(out, 80), b2 = v128.load(out, 96), b3 = v128.load(out, 112);
  let c0 = v128.load(out, 128), c1 = v128.load(out, 144), c2 = v128.load(out, 160), c3 = v128.load(out, 176);
  let d0 = v128.load(out, 192), d1 = v128.load(out, 208), d2 = v128.load(out, 224), d3 = v128.load(out, 240);
  for (let c = coefficients, s = others, last = others + 64; s < last; c += 64, s += 4) {
    const p0 = v128.load(c), p1 = v128.load(c, 16), p2 = v128.load(c, 32), p3 = v128.load(c, 48);
    let w = v128.load32_splat(s);
    a0 = madd(w, p0, a0);
    a1 = madd(w, p1, a1);
    a2 = madd(w, p2, a2);
    a3 = madd(w, p3, a3);
    w = v128.load32_splat(s, 64);
    b0 = madd(w, p0, b0);
    b1 = madd(w, p1, b1);
    b2 = madd(w, p2, b2);
    b3 = madd(w, p3, b3);
    w = v128.load32_splat(s, 128);
    c0 = madd(w, p0, c0);
    c1 = madd(w, p1, c1);
    c2 = madd(w, p2, c2);
    c3 = madd(w, p3, c3);
    w = v128.load32_splat(s, 192);
    d0 = madd(w, p0, d0);
    d1 = madd(w, p1, d1);
    d2 = madd(w, p2, d2);
    d3 = madd(w, p3, d3);
  }
  v128.store(out, a1, 16);
  v128.store(out, a0);
  v128.store(out, a3, 48);
  v128.store(out, a2, 32);
  v128.store(out, b1, 80);
  v128.store(out, b0, 64);
  v128.store(out, b3, 112);
  v128.store(out, b2, 96);
  v128.store(out, c1, 144);
  v128.store(out, c0, 128);
  v128.store(out, c3, 176);
  v128.store(out, c2, 160);
  v128.store(out, d1, 208);
  v128.store(out, d0, 192);
  v128.store(out, d3, 240);
  v128.store(out, d2, 224);
}
