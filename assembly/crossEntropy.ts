// Softmax cross-entropy over the vocabulary, tokens in lanes.
//
//   loss = log sum_v exp(z_v) - z_label      dz_v = (softmax(z)_v - [v = label]) * scale
//
// logits: [tiles][V][16]; labels: [tiles][16] i32, -1 where a token has none (its loss and gradient are 0);
// loss: [tiles][16]; scratch: the worker's own. The sum over tokens is the host's, in a fixed order and in f64.
import { FEATURE_SHIFT, splatAt } from './lanes';
import { expBy, expTable, log } from './math';

/** Losses of tiles [begin, end). */
export function crossEntropy(loss: usize, logits: usize, labels: usize, V: usize, scratch: usize, begin: usize, end: usize): void {
  expTable(scratch);
  for (let t = begin; t < end; t++) {
    for (let lane: usize = 0; lane < 64; lane += 16) {
      const z = logits + ((t * V) << FEATURE_SHIFT) + lane, at = (t << FEATURE_SHIFT) + lane;
      const m = highest(z, V);
      loseTile(loss + at, z, labels + at, m);
      addLog(loss + at, labels + at, expSum(z, m, V, scratch));
    }
  }
}

/** Losses of tiles [begin, end), and dz in place of the logits. `scale` points at one f32: 1 / labelled tokens of the step. */
export function crossEntropyBackward(loss: usize, logits: usize, labels: usize, scale: usize, V: usize, scratch: usize, begin: usize, end: usize): void {
  expTable(scratch);
  for (let t = begin; t < end; t++) {
    for (let lane: usize = 0; lane < 64; lane += 16) {
      const z = logits + ((t * V) << FEATURE_SHIFT) + lane, at = (t << FEATURE_SHIFT) + lane;
      const m = highest(z, V);
      // The labels' logits are read before their exponentials take their place.
      loseTile(loss + at, z, labels + at, m);
      let s = f32x4.splat(0);
      for (let p = z, last = z + (V << FEATURE_SHIFT); p < last; p += 64) {
        const e = expBy(scratch, f32x4.sub(v128.load(p), m));
        v128.store(p, e);
        s = f32x4.add(s, e);
      }
      addLog(loss + at, labels + at, s);
      const label = v128.load(labels + at), step = splatAt(scale);
      const labelled = i32x4.ge_s(label, i32x4.splat(0));
      const factor = v128.and(f32x4.div(step, s), labelled);
      for (let p = z, last = z + (V << FEATURE_SHIFT); p < last; p += 64) {
        v128.store(p, f32x4.mul(v128.load(p), factor));
      }
      for (let i: usize = 0; i < 16; i += 4) {
        const v = load<i32>(labels + at + i);
        if (v < 0) continue;
        const p = z + (<usize>v << FEATURE_SHIFT) + i;
        store<f32>(p, load<f32>(p) - load<f32>(scale));
      }
    }
  }
}

/** A NaN is passed over here; its exponential makes the loss one. */
@inline
function highest(z: usize, V: usize): v128 {
  let m = v128.load(z);
  for (let p = z + 64, last = z + (V << FEATURE_SHIFT); p < last; p += 64) m = f32x4.pmax(m, v128.load(p));
  return m;
}

@inline
function expSum(z: usize, m: v128, V: usize, scratch: usize): v128 {
  let s = f32x4.splat(0);
  for (let p = z, last = z + (V << FEATURE_SHIFT); p < last; p += 64) s = f32x4.add(s, expBy(scratch, f32x4.sub(v128.load(p), m)));
  return s;
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
