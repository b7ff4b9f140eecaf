// Causal grouped-query attention over packed documents, forward and backward, without a score matrix
// (Dao, arXiv 2307.08691): 16 queries are lanes, keys come a tile at a time, softmax is kept running.
//
//   S = scaling Q'K, masked to keys first[t] .. last[t];   P = softmax(S) = 2^(S log2 e - maximum) / sum;   O = P V
//   dV = P'dO;  dP = dO V';  delta = sum(dO O);  dS = P (dP - delta) scaling;  dQ = dS K;  dK = dS'Q
//
//   q, o, dO      [tiles][heads * D][16]        k, v  [key tiles][kvHeads * D][16]; D is even
//   first, last   u32 a query: the slots of the first and the last key it may see, so that documents do not mix
//   stats         [tiles][heads][2][16]: the running maximum of S log2 e and 1 / sum of powers of two, saved for the backward pass
//   delta         [tiles][heads * parts][16]
//   scratch       [3][16][16] f32 of each worker's own, and the table of exp2's constants
import { combine, products } from './attentionTiles';
import { FEATURE_SHIFT, TILE, madd, splatAt } from './lanes';
import { LOG2E, UPPER, exp2By, exp2Table } from './math';

/** Where the table stands in the scratch. */
const TABLE: usize = 3072;
/** A score lower than any, yet finite: a difference of two of them is a number. */
export const LOWEST: f32 = -1e30;
/** A score that is lower still: its exponential is 0 beside any other's, and beside LOWEST. */
const HIDDEN: f32 = -2e30;

/**
 * Sets the scores of keys that a query does not see to HIDDEN; most tiles of keys are seen by all queries of theirs. Queries are the lanes
 * and keys the rows, or the other way round.
 */
function hide(s: usize, low: usize, high: usize, kt: usize, keysInLanes: bool): void {
  const from = <u32>(kt * TILE);
  if (highest16(low) <= from && from + <u32>TILE - 1 <= lowest16(high)) return;
  for (let j: usize = 0; j < TILE; j++) {
    for (let lane: usize = 0; lane < 64; lane += 16, s += 16) {
      let l: v128, h: v128, slot: v128;
      if (keysInLanes) {
        l = i32x4.splat(load<u32>(low + (j << 2)));
        h = i32x4.splat(load<u32>(high + (j << 2)));
        slot = i32x4.add(i32x4.splat(from + <u32>(lane >> 2)), i32x4(0, 1, 2, 3));
      } else {
        l = v128.load(low + lane);
        h = v128.load(high + lane);
        slot = i32x4.splat(from + <u32>j);
      }
      const seen = v128.and(i32x4.le_s(l, slot), i32x4.le_s(slot, h));
      v128.store(s, v128.bitselect(v128.load(s), f32x4.splat(HIDDEN), seen));
    }
  }
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
  const table = scratch + TABLE;
  exp2Table(table);
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
      products(scratch, queries, k + at, D, scaling * LOG2E);
      hide(scratch, low, high, kt, false);
      for (let lane: usize = 0; lane < 64; lane += 32) {
        const from = scratch + lane, last = scratch + 1024, sums = st + lane + 64, m = v128.load(st + lane), n = v128.load(st + lane, 16);
        let a = m, b = n;
        for (let p = from; p < last; p += 64) {
          a = f32x4.pmax(a, v128.load(p));
          b = f32x4.pmax(b, v128.load(p, 16));
        }
        let s = v128.load(sums), r = v128.load(sums, 16);
        if (v128.any_true(v128.or(f32x4.ne(m, a), f32x4.ne(n, b)))) {
          const c = exp2By(table, f32x4.sub(m, a)), d = exp2By(table + UPPER, f32x4.sub(n, b));
          s = f32x4.mul(s, c);
          r = f32x4.mul(r, d);
          scale(out + lane, D, c, d);
        }
        for (let p = from; p < last; p += 64) {
          const e = exp2By(table, f32x4.sub(v128.load(p), a)), f = exp2By(table + UPPER, f32x4.sub(v128.load(p, 16), b));
          v128.store(p, f, 16);
          v128.store(p, e);
          s = f32x4.add(s, e);
          r = f32x4.add(r, f);
        }
        v128.store(st + lane, b, 16);
        v128.store(st + lane, a);
        v128.store(sums, r, 16);
        v128.store(sums, s);
      }
      combine(out, scratch, v + at, D);
    }
    for (let lane: usize = 0; lane < 64; lane += 32) {
      const one = f32x4.splat(1), sums = st + lane + 64, c = f32x4.div(one, v128.load(sums)), d = f32x4.div(one, v128.load(sums, 16));
      v128.store(sums, c);
      v128.store(sums, d, 16);
      scale(out + lane, D, c, d);
    }
  }
}

/** Scales eight tokens of D features. */
function scale(x: usize, D: usize, c: v128, d: v128): void {
  for (const last = x + (D << FEATURE_SHIFT); x < last; x += 64) {
    v128.store(x, f32x4.mul(v128.load(x, 16), d), 16);
    v128.store(x, f32x4.mul(v128.load(x), c));
  }
}

/** to = from', both 16 x 16. */
function transpose(to: usize, from: usize): void {
  for (let i: usize = 0; i < 64; i += 16, to += 256) {
    for (let j: usize = 0, p = from + i; j < 64; j += 16, p += 256) {
      const a = v128.load(p), b = v128.load(p, 64), c = v128.load(p, 128), d = v128.load(p, 192);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const AB = v128.shuffle<f32>(a, b, 2, 6, 3, 7), CD = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to + j, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
      v128.store(to + j, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), 64);
      v128.store(to + j, v128.shuffle<f32>(AB, CD, 0, 1, 4, 5), 128);
      v128.store(to + j, v128.shuffle<f32>(AB, CD, 2, 3, 6, 7), 192);
    }
  }
}

/**
 * dq and delta, and each head's own dk and dv, for units [begin, end): unit = head * parts + part, of which each takes every parts-th tile
 * of keys. Scores are made once for all three: keys are the lanes, and queries come a tile at a time, from the keys' own tile on. Documents
 * follow one another, so `first` never falls and the walk ends where it passes the tile. dk and dv are [tiles][heads * D][16], dq is
 * [tiles][heads * parts * D][16], each part's own, and delta [tiles][heads * parts][16]: see sumHeads.
 */
export function attentionBackward(
  dq: usize, dk: usize, dv: usize, delta: usize, dO: usize, o: usize, stats: usize, q: usize, k: usize, v: usize,
  first: usize, last: usize, heads: usize, kvHeads: usize, D: usize, scaling: f32, parts: usize, tiles: usize,
  scratch: usize, begin: usize, end: usize,
): void {
  const table = scratch + TABLE;
  exp2Table(table);
  const group = heads / kvHeads, dS = scratch + 1024, turned = scratch + 2048, vs = f32x4.splat(scaling), bytes = D << FEATURE_SHIFT;
  for (let unit = begin; unit < end; unit++) {
    const head = unit / parts;
    for (let t: usize = 0, own = unit; t < tiles; t++, own += heads * parts) {
      const at = (t * heads + head) * bytes;
      memory.fill(dq + own * bytes, 0, bytes);
      for (let lane: usize = 0; lane < 64; lane += 16) {
        let s = f32x4.splat(0);
        for (let i = at + lane, stop = i + bytes; i < stop; i += 64) s = madd(v128.load(dO + i), v128.load(o + i), s);
        v128.store(delta + (own << FEATURE_SHIFT) + lane, s);
      }
    }
    for (let kt = unit % parts; kt < tiles; kt += parts) {
      const at = (kt * heads + head) * bytes, keys = (kt * kvHeads + head / group) * bytes;
      memory.fill(dk + at, 0, bytes);
      memory.fill(dv + at, 0, bytes);
      for (let t = kt; t < tiles; t++) {
        if (<usize>load<u32>(first + (t << FEATURE_SHIFT)) >= (kt + 1) * TILE) break;
        const query = t * heads + head, queries = query * bytes, own = query * parts + unit % parts;
        products(scratch, k + keys, q + queries, D, scaling * LOG2E);
        hide(scratch, first + (t << FEATURE_SHIFT), last + (t << FEATURE_SHIFT), kt, true);
        products(dS, v + keys, dO + queries, D, 1);
        for (let j: usize = 0; j < TILE; j++) {
          const m = splatAt(stats + (query << 7) + (j << 2)), inverse = splatAt(stats + (query << 7) + (j << 2) + 64);
          const mean = splatAt(delta + (own << FEATURE_SHIFT) + (j << 2));
          for (let p = scratch + (j << FEATURE_SHIFT), stop = p + 64; p < stop; p += 32) {
            const e = f32x4.mul(exp2By(table, f32x4.sub(v128.load(p), m)), inverse);
            const f = f32x4.mul(exp2By(table + UPPER, f32x4.sub(v128.load(p, 16), m)), inverse);
            v128.store(p, f, 16);
            v128.store(p, e);
            const x = f32x4.mul(f32x4.mul(e, vs), f32x4.sub(v128.load(p, 1024), mean));
            v128.store(p, f32x4.mul(f32x4.mul(f, vs), f32x4.sub(v128.load(p, 1040), mean)), 1040);
            v128.store(p, x, 1024);
          }
        }
        combine(dv + at, scratch, dO + queries, D);
        combine(dk + at, dS, q + queries, D);
        transpose(turned, dS);
        combine(dq + own * bytes, turned, k + keys, D);
      }
    }
  }
}

/** y = the sum of x over each group of heads that share a key head, for tiles [begin, end). x: [tiles][heads * D][16], y: [tiles][kvHeads * D][16]. */
export function sumHeads(y: usize, x: usize, heads: usize, kvHeads: usize, D: usize, begin: usize, end: usize): void {
  const group = heads / kvHeads, bytes = D << FEATURE_SHIFT;
  for (let unit = begin * kvHeads; unit < end * kvHeads; unit++) {
    const to = y + unit * bytes, from = x + unit * group * bytes;
    for (let i: usize = 0; i < bytes; i += 16) {
      let s = v128.load(from + i);
      for (let p = from + i + bytes, stop = from + group * bytes; p < stop; p += bytes) s = f32x4.add(s, v128.load(p));
      v128.store(to + i, s);
    }
  }
}
