// What stands between the products when one token goes through the model: its features are side by side, [K] f32.
// The cache of keys and values keeps the tiles of attention.ts, [key tiles][kvHeads * D][16]: 16 keys are lanes.
import { LOWEST } from './attention';
import { FEATURE_SHIFT, TILE, madd, splatAt, sum, sums4, weightAt } from './lanes';
import { LOG2E, exp2By, exp2Table } from './math';

/** x = table[ids[0]] (embedding.ts), for features [begin, end). */
export function embedToken(x: usize, table: usize, dtype: i32, ids: usize, K: usize, begin: usize, end: usize): void {
  const id = <usize>load<u32>(ids), row = ((id >> 2) * K << 2) + (id & 3);
  for (let k = begin; k < end; k++) store<f32>(x + (k << 2), weightAt(table, row + (k << 2), dtype));
}

/** y = gain x rstd (rmsNorm.ts). One unit. */
export function rmsNormToken(y: usize, x: usize, gain: usize, K: usize, eps: f32, begin: usize, end: usize): void {
  if (begin == end) return;
  const whole = (K & ~3) << 2, all = K << 2;
  let acc = f32x4.splat(0);
  for (let k: usize = 0; k < whole; k += 16) acc = madd(v128.load(x + k), v128.load(x + k), acc);
  let squares = sum(acc);
  for (let k = whole; k < all; k += 4) squares += load<f32>(x + k) * load<f32>(x + k);
  const r = <f32>1 / sqrt<f32>(squares / <f32>K + eps), vr = f32x4.splat(r);
  for (let k: usize = 0; k < whole; k += 16) v128.store(y + k, f32x4.mul(v128.load(gain + k), f32x4.mul(v128.load(x + k), vr)));
  for (let k = whole; k < all; k += 4) store<f32>(y + k, load<f32>(gain + k) * (load<f32>(x + k) * r));
}

/** y = x turned by its position (rope.ts), for heads [begin, end). y may be x. Tables: [positions][half]. */
export function ropeToken(
  y: usize, x: usize, cosTable: usize, sinTable: usize, positions: usize, half: usize, begin: usize, end: usize,
): void {
  const far = half << 2, row = <usize>load<u32>(positions) * far;
  for (let h = begin; h < end; h++) {
    const at = h * far << 1;
    for (let i: usize = 0; i < far; i += 4) {
      const c = load<f32>(cosTable + row + i), s = load<f32>(sinTable + row + i);
      const x1 = load<f32>(x + at + i), x2 = load<f32>(x + at + far + i);
      store<f32>(y + at + i, x1 * c - x2 * s);
      store<f32>(y + at + far + i, x1 * s + x2 * c);
    }
  }
}

/** cache[slots[0]] = x, for features [begin, end) of K. */
export function storeToken(cache: usize, x: usize, slots: usize, K: usize, begin: usize, end: usize): void {
  const slot = <usize>load<u32>(slots), o = cache + ((slot / TILE) * K << FEATURE_SHIFT) + ((slot % TILE) << 2);
  for (let k = begin; k < end; k++) store<f32>(o + (k << FEATURE_SHIFT), load<f32>(x + (k << 2)));
}

/** o = softmax(scaling q'K) V over the keys 0 .. last[0], in powers of two (attention.ts), for heads [begin, end). o, q: [heads * D]. */
export function attentionToken(
  o: usize, q: usize, k: usize, v: usize, last: usize, heads: usize, kvHeads: usize, D: usize, scaling: f32, scratch: usize,
  begin: usize, end: usize,
): void {
  exp2Table(scratch);
  const group = heads / kvHeads, stride = kvHeads * D << FEATURE_SHIFT, slot = <usize>load<u32>(last);
  for (let h = begin; h < end; h++) {
    const out = o + (h * D << 2), query = q + (h * D << 2);
    let m = f32x4.splat(LOWEST), total = f32x4.splat(0), at = h / group * D << FEATURE_SHIFT;
    memory.fill(out, 0, D << 2);
    for (let key: usize = 0; key <= slot; key += TILE, at += stride) {
      const see0 = seen(key, slot), see1 = seen(key + 4, slot), see2 = seen(key + 8, slot), see3 = seen(key + 12, slot);
      let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
      for (let d: usize = 0, p = k + at; d < D << 2; d += 4, p += 64) {
        const a = splatAt(query + d);
        s0 = madd(a, v128.load(p), s0);
        s1 = madd(a, v128.load(p, 16), s1);
        s2 = madd(a, v128.load(p, 32), s2);
        s3 = madd(a, v128.load(p, 48), s3);
      }
      const vs = f32x4.splat(scaling * LOG2E), low = f32x4.splat(LOWEST);
      s0 = v128.bitselect(f32x4.mul(s0, vs), low, see0);
      s1 = v128.bitselect(f32x4.mul(s1, vs), low, see1);
      s2 = v128.bitselect(f32x4.mul(s2, vs), low, see2);
      s3 = v128.bitselect(f32x4.mul(s3, vs), low, see3);
      const old = m;
      m = highest(f32x4.pmax(m, f32x4.pmax(f32x4.pmax(s0, s1), f32x4.pmax(s2, s3))));
      const shrink = exp2By(scratch, f32x4.sub(old, m));
      s0 = v128.and(exp2By(scratch, f32x4.sub(s0, m)), see0);
      s1 = v128.and(exp2By(scratch, f32x4.sub(s1, m)), see1);
      s2 = v128.and(exp2By(scratch, f32x4.sub(s2, m)), see2);
      s3 = v128.and(exp2By(scratch, f32x4.sub(s3, m)), see3);
      total = f32x4.add(f32x4.mul(total, shrink), f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
      let d: usize = 0, p = v + at;
      for (; d + 4 <= D; d += 4, p += 256) {
        const z = out + (d << 2);
        const add = sums4(dot16(p, s0, s1, s2, s3), dot16(p + 64, s0, s1, s2, s3), dot16(p + 128, s0, s1, s2, s3), dot16(p + 192, s0, s1, s2, s3));
        v128.store(z, f32x4.add(f32x4.mul(v128.load(z), shrink), add));
      }
      for (; d < D; d++, p += 64) {
        const z = out + (d << 2);
        store<f32>(z, load<f32>(z) * f32x4.extract_lane(shrink, 0) + sum(dot16(p, s0, s1, s2, s3)));
      }
    }
    const inverse = <f32>1 / sum(total);
    for (let z = out, stop = out + (D << 2); z < stop; z += 4) store<f32>(z, load<f32>(z) * inverse);
  }
}

/** Which of the keys key .. key + 3 are there. */
@inline
function seen(key: usize, slot: usize): v128 {
  return i32x4.le_s(i32x4.add(i32x4.splat(<i32>key), i32x4(0, 1, 2, 3)), i32x4.splat(<i32>slot));
}

/** The highest lane, in all lanes. */
@inline
function highest(a: v128): v128 {
  const b = f32x4.pmax(a, v128.shuffle<f32>(a, a, 2, 3, 0, 1));
  return f32x4.pmax(b, v128.shuffle<f32>(b, b, 1, 0, 3, 2));
}

@inline
function dot16(p: usize, s0: v128, s1: v128, s2: v128, s3: v128): v128 {
  const low = madd(v128.load(p, 16), s1, f32x4.mul(v128.load(p), s0));
  return f32x4.add(low, madd(v128.load(p, 48), s3, f32x4.mul(v128.load(p, 32), s2)));
}
