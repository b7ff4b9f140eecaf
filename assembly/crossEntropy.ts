// Softmax cross-entropy over the vocabulary, tokens in lanes.
//
//   loss = log sum_v exp(z_v) - z_label      dz_v = (softmax(z)_v - [v = label]) * scale
//
// logits: [tiles][V][16]; labels: [tiles][16] i32, -1 where a token has none (its loss and gradient are 0);
// loss: [tiles][16]; scratch: the worker's own. The sum over tokens is the host's, in a fixed order and in f64.
import { FEATURE_SHIFT, splatAt } from './lanes';
import { TABLE_BYTES, UPPER, expBy, expTable, log } from './math';

/** Where the maxima and the sums of a tile stand in the scratch, behind the table of exp's constants. */
const MAXIMA: usize = TABLE_BYTES;
const SUMS: usize = TABLE_BYTES + 64;

/** Losses of tiles [begin, end). */
export function crossEntropy(loss: usize, logits: usize, labels: usize, V: usize, scratch: usize, begin: usize, end: usize): void {
  expTable(scratch);
  for (let t = begin; t < end; t++) {
    const z = logits + ((t * V) << FEATURE_SHIFT), at = t << FEATURE_SHIFT;
    maxima(scratch + MAXIMA, z, V);
    exponentials(false, scratch, z, V);
    for (let lane: usize = 0; lane < 64; lane += 16) {
      loseTile(loss + at + lane, z + lane, labels + at + lane, v128.load(scratch + MAXIMA + lane));
      addLog(loss + at + lane, labels + at + lane, v128.load(scratch + SUMS + lane));
    }
  }
}

/** Losses of tiles [begin, end), and dz in place of the logits. `scale` points at one f32: 1 / labelled tokens of the step. */
export function crossEntropyBackward(
  loss: usize, logits: usize, labels: usize, scale: usize, V: usize, scratch: usize, begin: usize, end: usize,
): void {
  expTable(scratch);
  for (let t = begin; t < end; t++) {
    const z = logits + ((t * V) << FEATURE_SHIFT), at = t << FEATURE_SHIFT, sums = scratch + SUMS;
    maxima(scratch + MAXIMA, z, V);
    // The labels' logits are read before their exponentials take their place.
    for (let lane: usize = 0; lane < 64; lane += 16) {
      loseTile(loss + at + lane, z + lane, labels + at + lane, v128.load(scratch + MAXIMA + lane));
    }
    exponentials(true, scratch, z, V);
    for (let lane: usize = 0; lane < 64; lane += 16) {
      const s = v128.load(sums + lane), labelled = i32x4.ge_s(v128.load(labels + at + lane), i32x4.splat(0));
      addLog(loss + at + lane, labels + at + lane, s);
      v128.store(sums + lane, v128.and(f32x4.div(splatAt(scale), s), labelled));
    }
    const f0 = v128.load(sums), f1 = v128.load(sums, 16), f2 = v128.load(sums, 32), f3 = v128.load(sums, 48);
    for (let p = z, last = z + (V << FEATURE_SHIFT); p < last; p += 64) {
      v128.store(p, f32x4.mul(v128.load(p, 16), f1), 16);
      v128.store(p, f32x4.mul(v128.load(p), f0));
      v128.store(p, f32x4.mul(v128.load(p, 48), f3), 48);
      v128.store(p, f32x4.mul(v128.load(p, 32), f2), 32);
    }
    for (let i: usize = 0; i < 64; i += 4) {
      const v = load<i32>(labels + at + i);
      if (v < 0) continue;
      const p = z + (<usize>v << FEATURE_SHIFT) + i;
      store<f32>(p, load<f32>(p) - load<f32>(scale));
    }
  }
}

/** A NaN is passed over here; its exponential makes the loss one. */
function maxima(to: usize, z: usize, V: usize): void {
  let a = v128.load(z), b = v128.load(z, 16), c = v128.load(z, 32), d = v128.load(z, 48);
  for (let p = z + 64, last = z + (V << FEATURE_SHIFT); p < last; p += 64) {
    a = f32x4.pmax(a, v128.load(p));
    b = f32x4.pmax(b, v128.load(p, 16));
    c = f32x4.pmax(c, v128.load(p, 32));
    d = f32x4.pmax(d, v128.load(p, 48));
  }
  v128.store(to, a);
  v128.store(to, b, 16);
  v128.store(to, c, 32);
  v128.store(to, d, 48);
}

/** The sums of exp(z - maximum), and those exponentials in place of z where they are kept. */
function exponentials(keep: bool, scratch: usize, z: usize, V: usize): void {
  const m0 = v128.load(scratch, MAXIMA), m1 = v128.load(scratch, MAXIMA + 16), m2 = v128.load(scratch, MAXIMA + 32), m3 = v128.load(scratch, MAXIMA + 48);
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (let p = z, last = z + (V << FEATURE_SHIFT); p < last; p += 64) {
    const e0 = expBy(scratch, f32x4.sub(v128.load(p), m0)), e1 = expBy(scratch + UPPER, f32x4.sub(v128.load(p, 16), m1));
    s0 = f32x4.add(s0, e0);
    s1 = f32x4.add(s1, e1);
    const e2 = expBy(scratch, f32x4.sub(v128.load(p, 32), m2)), e3 = expBy(scratch + UPPER, f32x4.sub(v128.load(p, 48), m3));
    s2 = f32x4.add(s2, e2);
    s3 = f32x4.add(s3, e3);
    if (keep) {
      v128.store(p, e1, 16);
      v128.store(p, e0);
      v128.store(p, e3, 48);
      v128.store(p, e2, 32);
    }
  }
  v128.store(scratch, s0, SUMS);
  v128.store(scratch, s1, SUMS + 16);
  v128.store(scratch, s2, SUMS + 32);
  v128.store(scratch, s3, SUMS + 48);
}

/** loss = m - z_label, 0 where there is no label. */
function loseTile(loss: usize, z: usize, labels: usize, m: v128): void {
  v128.store(loss, m);
  for (let i: usize = 0; i < 16; i += 4) {
    const v = load<i32>(labels + i);
    store<f32>(loss + i, v < 0 ? 0 : load<f32>(loss + i) - load<f32>(z + (<usize>v << FEATURE_SHIFT) + i));
  }
}

/** loss += log s where there is a label. */
function addLog(loss: usize, labels: usize, s: v128): void {
  const labelled = i32x4.ge_s(v128.load(labels), i32x4.splat(0));
  v128.store(loss, f32x4.add(v128.load(loss), v128.and(log(s), labelled)));
}
