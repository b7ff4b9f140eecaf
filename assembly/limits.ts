// What the machine can do at most, with the arithmetic and the loads of the kernels: the roofline of `lors bench`.
import { madd } from './lanes';

/** Bytes of a run: what one unit of reading or copying moves. */
const RUN_SHIFT: usize = 16;

/**
 * y[u] = (w[0] + w[1]) * sum over n < turns of x[n & 7], for units [begin, end). w [2], x [8][24], y [units][32], of which
 * 24 are written. Twelve independent sums (two weights, six vectors), so that no multiply-add waits for another; neighbours
 * are multiplied by the same weight, so that V8 can pair them in the wide build.
 */
export function multiplyAdds(y: usize, x: usize, w: usize, turns: usize, begin: usize, end: usize): void {
  const s = v128.load32_splat(w), t = v128.load32_splat(w, 4);
  const zero = f32x4.splat(0);
  for (let u = begin; u < end; u++) {
    let a = zero, b = zero, c = zero, d = zero, e = zero, f = zero;
    let g = zero, h = zero, i = zero, j = zero, k = zero, l = zero;
    for (let n: usize = 0; n < turns; n++) {
      const p = x + (n & 7) * 96;
      const x0 = v128.load(p), x1 = v128.load(p, 16);
      a = madd(s, x0, a);
      b = madd(s, x1, b);
      g = madd(t, x0, g);
      h = madd(t, x1, h);
      const x2 = v128.load(p, 32), x3 = v128.load(p, 48);
      c = madd(s, x2, c);
      d = madd(s, x3, d);
      i = madd(t, x2, i);
      j = madd(t, x3, j);
      const x4 = v128.load(p, 64), x5 = v128.load(p, 80);
      e = madd(s, x4, e);
      f = madd(s, x5, f);
      k = madd(t, x4, k);
      l = madd(t, x5, l);
    }
    const out = y + (u << 7);
    v128.store(out, f32x4.add(a, g));
    v128.store(out, f32x4.add(b, h), 16);
    v128.store(out, f32x4.add(c, i), 32);
    v128.store(out, f32x4.add(d, j), 48);
    v128.store(out, f32x4.add(e, k), 64);
    v128.store(out, f32x4.add(f, l), 80);
  }
}

/** bits[u][lane] = the bits that any word of run u and lane (4) has, for runs [begin, end) of 64 KiB. words [runs][4096][4], bits [runs][4]. */
export function readRuns(bits: usize, words: usize, begin: usize, end: usize): void {
  for (let u = begin; u < end; u++) {
    let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    for (let p = words + (u << RUN_SHIFT), last = p + (1 << RUN_SHIFT); p < last; p += 128) {
      a = v128.or(a, v128.load(p));
      b = v128.or(b, v128.load(p, 16));
      c = v128.or(c, v128.load(p, 32));
      d = v128.or(d, v128.load(p, 48));
      e = v128.or(e, v128.load(p, 64));
      f = v128.or(f, v128.load(p, 80));
      g = v128.or(g, v128.load(p, 96));
      h = v128.or(h, v128.load(p, 112));
    }
    v128.store(bits + (u << 4), v128.or(v128.or(v128.or(a, b), v128.or(c, d)), v128.or(v128.or(e, f), v128.or(g, h))));
  }
}

/** y = x, for runs [begin, end) of 64 KiB. */
export function copyRuns(y: usize, x: usize, begin: usize, end: usize): void {
  memory.copy(y + (begin << RUN_SHIFT), x + (begin << RUN_SHIFT), (end - begin) << RUN_SHIFT);
}
