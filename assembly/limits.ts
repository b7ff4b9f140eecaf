// What the machine can do at most, with the arithmetic and the loads of the kernels: the roofline of `lors bench`.
import { WIDE_LANES, madd } from './lanes';

/** Bytes of a run: what one unit of reading or copying moves. */
const RUN_SHIFT: usize = 16;

/**
 * y[u] = (w[0] + w[1] + w[2] + w[3]) * sum over n < turns of x[n & 7], for units [begin, end). w [4], x [8][16], y [units][16].
 * Eight independent sums at a time (four weights, two vectors): enough that no multiply-add waits for another, few enough for 16
 * registers (with ten, V8 of Node 20 keeps some in memory). In the wide build all sixteen at once, which V8 pairs to eight.
 */
export function multiplyAdds(y: usize, x: usize, w: usize, turns: usize, begin: usize, end: usize): void {
  const s = v128.load32_splat(w), t = v128.load32_splat(w, 4), u = v128.load32_splat(w, 8), v = v128.load32_splat(w, 12);
  for (let unit = begin; unit < end; unit++) {
    const out = y + (unit << 6);
    if (WIDE_LANES) {
      addFourVectors(out, x, s, t, u, v, turns);
    } else {
      for (let half: usize = 0; half < 64; half += 32) addTwoVectors(out + half, x + half, s, t, u, v, turns);
    }
  }
}

@inline
function addTwoVectors(y: usize, x: usize, s: v128, t: v128, u: v128, v: v128, turns: usize): void {
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (let n: usize = 0; n < turns; n++) {
    const p = x + ((n & 7) << 6);
    const x0 = v128.load(p), x1 = v128.load(p, 16);
    a = madd(s, x0, a);
    b = madd(s, x1, b);
    c = madd(t, x0, c);
    d = madd(t, x1, d);
    e = madd(u, x0, e);
    f = madd(u, x1, f);
    g = madd(v, x0, g);
    h = madd(v, x1, h);
  }
  v128.store(y, f32x4.add(f32x4.add(a, c), f32x4.add(e, g)));
  v128.store(y, f32x4.add(f32x4.add(b, d), f32x4.add(f, h)), 16);
}

@inline
function addFourVectors(y: usize, x: usize, s: v128, t: v128, u: v128, v: v128, turns: usize): void {
  let a0 = f32x4.splat(0), b0 = a0, c0 = a0, d0 = a0, a1 = a0, b1 = a0, c1 = a0, d1 = a0;
  let a2 = a0, b2 = a0, c2 = a0, d2 = a0, a3 = a0, b3 = a0, c3 = a0, d3 = a0;
  for (let n: usize = 0; n < turns; n++) {
    const p = x + ((n & 7) << 6);
    const x0 = v128.load(p), x1 = v128.load(p, 16), x2 = v128.load(p, 32), x3 = v128.load(p, 48);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    a2 = madd(s, x2, a2);
    a3 = madd(s, x3, a3);
    b0 = madd(t, x0, b0);
    b1 = madd(t, x1, b1);
    b2 = madd(t, x2, b2);
    b3 = madd(t, x3, b3);
    c0 = madd(u, x0, c0);
    c1 = madd(u, x1, c1);
    c2 = madd(u, x2, c2);
    c3 = madd(u, x3, c3);
    d0 = madd(v, x0, d0);
    d1 = madd(v, x1, d1);
    d2 = madd(v, x2, d2);
    d3 = madd(v, x3, d3);
  }
  v128.store(y, f32x4.add(f32x4.add(a0, b0), f32x4.add(c0, d0)));
  v128.store(y, f32x4.add(f32x4.add(a1, b1), f32x4.add(c1, d1)), 16);
  v128.store(y, f32x4.add(f32x4.add(a2, b2), f32x4.add(c2, d2)), 32);
  v128.store(y, f32x4.add(f32x4.add(a3, b3), f32x4.add(c3, d3)), 48);
}

/** bits[u][lane] = the bits that any word of run u and lane (4) has, for runs [begin, end) of 64 KiB. words [runs][4096][4], bits [runs][4]. */
export function readRuns(bits: usize, words: usize, begin: usize, end: usize): void {
  for (let u = begin; u < end; u++) {
    let a = i32x4.splat(0), b = a, c = a, d = a;
    for (let p = words + (u << RUN_SHIFT), last = p + (1 << RUN_SHIFT); p < last; p += 64) {
      a = v128.or(a, v128.load(p));
      b = v128.or(b, v128.load(p, 16));
      c = v128.or(c, v128.load(p, 32));
      d = v128.or(d, v128.load(p, 48));
    }
    v128.store(bits + (u << 4), v128.or(v128.or(a, b), v128.or(c, d)));
  }
}

/** y = x, for runs [begin, end) of 64 KiB. */
export function copyRuns(y: usize, x: usize, begin: usize, end: usize): void {
  memory.copy(y + (begin << RUN_SHIFT), x + (begin << RUN_SHIFT), (end - begin) << RUN_SHIFT);
}
