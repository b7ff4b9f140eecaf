// Causal grouped-query attention over packed documents, forward and backward, without a score matrix
// (Dao, arXiv 2307.08691): 16 queries are lanes, keys come a tile at a time, softmax is kept running.
//
//   S = scaling Q'K, masked to keys first[t] .. last[t];   P = softmax(S);   O = P V
//   dV = P'dO;  dP = dO V';  delta = sum(dO O);  dS = P (dP - delta) scaling;  dQ = dS K;  dK = dS'Q
//
//   q, o, dq, dO  [tiles][heads * D][16]        k, v, dk, dv  [key tiles][kvHeads * D][16]
//   first, last   u32 a query: the slots of the first and the last key it may see, so that documents do not mix
//   stats         [tiles][heads][2][16]: the running maximum and 1 / sum of exponentials, saved for the backward pass
//   delta         [tiles][heads][16]
//   scratch       [2][16][16] f32 of each worker's own
import { FEATURE_SHIFT, TILE, madd, splatAt } from './lanes';
import { exp } from './math';

/** A score lower than any, yet finite: a difference of two of them is a number. */
const LOWEST: f32 = -1e30;

/** s[j] = scaling * sum_d lanes[d] * splat of others[d][j], j < 16: the 16 x 16 products of two tiles of one head. */
function products(s: usize, lanes: usize, others: usize, D: usize, scaling: f32): void {
  const vs = f32x4.splat(scaling);
  for (let j: usize = 0; j < TILE; j += 2) {
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let p = lanes, q = others + (j << 2);
    for (const last = lanes + (D << FEATURE_SHIFT); p < last; p += 64, q += 64) {
      const a = splatAt(q), b = splatAt(q + 4);
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

/** out[d] += sum_j coefficients[j] * splat of others[d][j], j < 16. */
function combine(out: usize, coefficients: usize, others: usize, D: usize): void {
  for (let d: usize = 0; d < D; d++, out += 64, others += 64) {
    let a0 = v128.load(out), a1 = v128.load(out, 16), a2 = v128.load(out, 32), a3 = v128.load(out, 48);
    for (let j: usize = 0; j < TILE; j++) {
      const s = splatAt(others + (j << 2)), c = coefficients + (j << FEATURE_SHIFT);
      a0 = madd(s, v128.load(c), a0);
      a1 = madd(s, v128.load(c, 16), a1);
      a2 = madd(s, v128.load(c, 32), a2);
      a3 = madd(s, v128.load(c, 48), a3);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out, a2, 32);
    v128.store(out, a3, 48);
  }
}

/** Lanes that may see (or be seen by) slot j: low <= j <= high. */
@inline
function visible(low: usize, high: usize, j: u32): v128 {
  const v = i32x4.splat(j);
  return v128.and(i32x4.le_s(v128.load(low), v), i32x4.le_s(v, v128.load(high)));
}

@inline
function lowest16(p: usize): u32 {
  let m = load<u32>(p);
  for (let i: usize = 4; i < 64; i += 4) m = min(m, load<u32>(p + i));
  return m;
}

@inline
function highest16(p: usize): u32 {
  let m = load<u32>(p);
  for (let i: usize = 4; i < 64; i += 4) m = max(m, load<u32>(p + i));
  return m;
}

/** o and stats, for units [begin, end): unit = tile * heads + head. */
export function attention(
  o: usize, stats: usize, q: usize, k: usize, v: usize, first: usize, last: usize,
  heads: usize, kvHeads: usize, D: usize, scaling: f32, scratch: usize, begin: usize, end: usize,
): void {
  const group = heads / kvHeads, zero = f32x4.splat(0);
  for (let unit = begin; unit < end; unit++) {
    const t = unit / heads, kvHead = unit % heads / group;
    const out = o + (unit * D << FEATURE_SHIFT), queries = q + (unit * D << FEATURE_SHIFT);
    const low = first + (t << FEATURE_SHIFT), high = last + (t << FEATURE_SHIFT), st = stats + (unit << 7);
    memory.fill(out, 0, D << FEATURE_SHIFT);
    for (let lane: usize = 0; lane < 64; lane += 16) {
      v128.store(st + lane, f32x4.splat(LOWEST));
      v128.store(st + lane, zero, 64);
    }
    for (let kt = <usize>lowest16(low) / TILE, stop = <usize>highest16(high) / TILE; kt <= stop; kt++) {
      const at = (kt * kvHeads + kvHead) * D << FEATURE_SHIFT;
      products(scratch, queries, k + at, D, scaling);
      for (let lane: usize = 0; lane < 64; lane += 16) {
        const old = v128.load(st + lane);
        let m = old;
        for (let j: usize = 0; j < TILE; j++) {
          const s = v128.load(scratch + (j << FEATURE_SHIFT) + lane);
          m = v128.bitselect(f32x4.max(m, s), m, visible(low + lane, high + lane, <u32>(kt * TILE + j)));
        }
        const shrink = exp(f32x4.sub(old, m));
        let sum = f32x4.mul(v128.load(st + lane, 64), shrink);
        for (let j: usize = 0; j < TILE; j++) {
          const p = scratch + (j << FEATURE_SHIFT) + lane;
          const e = v128.and(exp(f32x4.sub(v128.load(p), m)), visible(low + lane, high + lane, <u32>(kt * TILE + j)));
          v128.store(p, e);
          sum = f32x4.add(sum, e);
        }
        v128.store(st + lane, m);
        v128.store(st + lane, sum, 64);
        for (let p = out + lane, stop = p + (D << FEATURE_SHIFT); p < stop; p += 64) v128.store(p, f32x4.mul(v128.load(p), shrink));
      }
      combine(out, scratch, v + at, D);
    }
    for (let lane: usize = 0; lane < 64; lane += 16) {
      const inverse = f32x4.div(f32x4.splat(1), v128.load(st + lane, 64));
      v128.store(st + lane, inverse, 64);
      for (let p = out + lane, stop = p + (D << FEATURE_SHIFT); p < stop; p += 64) v128.store(p, f32x4.mul(v128.load(p), inverse));
    }
  }
}

/** dq and delta, for units [begin, end): unit = tile * heads + head. */
export function attentionBackwardQ(
  dq: usize, delta: usize, dO: usize, o: usize, stats: usize, q: usize, k: usize, v: usize, first: usize, last: usize,
  heads: usize, kvHeads: usize, D: usize, scaling: f32, scratch: usize, begin: usize, end: usize,
): void {
  const group = heads / kvHeads, vs = f32x4.splat(scaling), dP = scratch + 1024;
  for (let unit = begin; unit < end; unit++) {
    const t = unit / heads, kvHead = unit % heads / group, at = unit * D << FEATURE_SHIFT;
    const low = first + (t << FEATURE_SHIFT), high = last + (t << FEATURE_SHIFT), st = stats + (unit << 7);
    memory.fill(dq + at, 0, D << FEATURE_SHIFT);
    for (let lane: usize = 0; lane < 64; lane += 16) {
      let s = f32x4.splat(0);
      for (let i = at + lane, stop = i + (D << FEATURE_SHIFT); i < stop; i += 64) s = madd(v128.load(dO + i), v128.load(o + i), s);
      v128.store(delta + (unit << FEATURE_SHIFT) + lane, s);
    }
    for (let kt = <usize>lowest16(low) / TILE, stop = <usize>highest16(high) / TILE; kt <= stop; kt++) {
      const keys = (kt * kvHeads + kvHead) * D << FEATURE_SHIFT;
      products(scratch, q + at, k + keys, D, scaling);
      products(dP, dO + at, v + keys, D, 1);
      for (let lane: usize = 0; lane < 64; lane += 16) {
        const m = v128.load(st + lane), inverse = f32x4.mul(vs, v128.load(st + lane, 64));
        const mean = v128.load(delta + (unit << FEATURE_SHIFT) + lane);
        for (let j: usize = 0; j < TILE; j++) {
          const p = scratch + (j << FEATURE_SHIFT) + lane;
          const e = v128.and(exp(f32x4.sub(v128.load(p), m)), visible(low + lane, high + lane, <u32>(kt * TILE + j)));
          const d = f32x4.sub(v128.load(dP + (j << FEATURE_SHIFT) + lane), mean);
          v128.store(p, f32x4.mul(f32x4.mul(e, inverse), d));
        }
      }
      combine(dq + at, scratch, k + keys, D);
    }
  }
}

/**
 * dk and dv, for units [begin, end): unit = key tile * kvHeads + kvHead. Here keys are the lanes and queries come a tile
 * at a time, from the keys' own tile on; documents follow one another, so `first` never falls and the walk ends where it
 * passes the tile. Of queries there are `tiles` tiles.
 */
export function attentionBackwardKV(
  dk: usize, dv: usize, dO: usize, stats: usize, delta: usize, q: usize, k: usize, v: usize, first: usize, last: usize,
  heads: usize, kvHeads: usize, D: usize, scaling: f32, tiles: usize, scratch: usize, begin: usize, end: usize,
): void {
  const group = heads / kvHeads, dS = scratch + 1024;
  for (let unit = begin; unit < end; unit++) {
    const kt = unit / kvHeads, kvHead = unit % kvHeads, at = unit * D << FEATURE_SHIFT;
    memory.fill(dk + at, 0, D << FEATURE_SHIFT);
    memory.fill(dv + at, 0, D << FEATURE_SHIFT);
    for (let t = kt; t < tiles; t++) {
      if (<usize>load<u32>(first + (t << FEATURE_SHIFT)) >= (kt + 1) * TILE) break;
      for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
        const query = t * heads + head, queries = query * D << FEATURE_SHIFT;
        products(scratch, k + at, q + queries, D, scaling);
        products(dS, v + at, dO + queries, D, 1);
        for (let j: usize = 0; j < TILE; j++) {
          const token = (t * TILE + j) << 2;
          const low = i32x4.splat(load<u32>(first + token)), high = i32x4.splat(load<u32>(last + token));
          const m = splatAt(stats + (query << 7) + (j << 2)), inverse = splatAt(stats + (query << 7) + (j << 2) + 64);
          const mean = splatAt(delta + (query << FEATURE_SHIFT) + (j << 2));
          for (let lane: usize = 0; lane < 64; lane += 16) {
            const p = scratch + (j << FEATURE_SHIFT) + lane, d = dS + (j << FEATURE_SHIFT) + lane;
            const slot = i32x4.add(i32x4.splat(<i32>(kt * TILE + (lane >> 2))), i32x4(0, 1, 2, 3));
            const seen = v128.and(i32x4.le_s(low, slot), i32x4.le_s(slot, high));
            const e = f32x4.mul(v128.and(exp(f32x4.sub(v128.load(p), m)), seen), inverse);
            v128.store(p, e);
            v128.store(d, f32x4.mul(f32x4.mul(e, f32x4.splat(scaling)), f32x4.sub(v128.load(d), mean)));
          }
        }
        combine(dv + at, scratch, dO + queries, D);
        combine(dk + at, dS, q + queries, D);
      }
    }
  }
}
