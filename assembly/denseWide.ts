// The dense tile of the wide build: six rows, or inputs, by a whole tile of tokens (layout: dense.ts). V8 pairs the twenty-four sums,
// so that with two vectors and a splat they are the fifteen registers that it gives.
import { FEATURE_SHIFT, madd } from './lanes';

/** Six rows by sixteen tokens over n inputs, n > 0: four rows of y with one panel of weights, two rows of z with another. */
export function forwardTile(y: usize, z: usize, x: usize, w: usize, v: usize, n: usize): void {
  let a0 = v128.load(y), a1 = v128.load(y, 16), a2 = v128.load(y, 32), a3 = v128.load(y, 48);
  let b0 = v128.load(y, 64), b1 = v128.load(y, 80), b2 = v128.load(y, 96), b3 = v128.load(y, 112);
  let c0 = v128.load(y, 128), c1 = v128.load(y, 144), c2 = v128.load(y, 160), c3 = v128.load(y, 176);
  let d0 = v128.load(y, 192), d1 = v128.load(y, 208), d2 = v128.load(y, 224), d3 = v128.load(y, 240);
  let e0 = v128.load(z), e1 = v128.load(z, 16), e2 = v128.load(z, 32), e3 = v128.load(z, 48);
  let f0 = v128.load(z, 64), f1 = v128.load(z, 80), f2 = v128.load(z, 96), f3 = v128.load(z, 112);
  for (const last = w + (n << 4); w < last; w += 16, v += 16, x += 64) {
    const x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
    let s = v128.load32_splat(w);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    a2 = madd(s, x2, a2);
    a3 = madd(s, x3, a3);
    s = v128.load32_splat(w, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    b2 = madd(s, x2, b2);
    b3 = madd(s, x3, b3);
    s = v128.load32_splat(w, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    c2 = madd(s, x2, c2);
    c3 = madd(s, x3, c3);
    s = v128.load32_splat(w, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    d2 = madd(s, x2, d2);
    d3 = madd(s, x3, d3);
    s = v128.load32_splat(v);
    e0 = madd(s, x0, e0);
    e1 = madd(s, x1, e1);
    e2 = madd(s, x2, e2);
    e3 = madd(s, x3, e3);
    s = v128.load32_splat(v, 4);
    f0 = madd(s, x0, f0);
    f1 = madd(s, x1, f1);
    f2 = madd(s, x2, f2);
    f3 = madd(s, x3, f3);
  }
  v128.store(y, a1, 16);
  v128.store(y, a0);
  v128.store(y, a3, 48);
  v128.store(y, a2, 32);
  v128.store(y, b1, 80);
  v128.store(y, b0, 64);
  v128.store(y, b3, 112);
  v128.store(y, b2, 96);
  v128.store(y, c1, 144);
  v128.store(y, c0, 128);
  v128.store(y, c3, 176);
  v128.store(y, c2, 160);
  v128.store(y, d1, 208);
  v128.store(y, d0, 192);
  v128.store(y, d3, 240);
  v128.store(y, d2, 224);
  v128.store(z, e1, 16);
  v128.store(z, e0);
  v128.store(z, e3, 48);
  v128.store(z, e2, 32);
  v128.store(z, f1, 80);
  v128.store(z, f0, 64);
  v128.store(z, f3, 112);
  v128.store(z, f2, 96);
}

/** Six inputs by sixteen tokens over `rows` rows, a multiple of four, rows > 0; w: the panel of the first four. */
export function backwardTile(dx: usize, dy: usize, w: usize, stride: usize, rows: usize): void {
  let a0 = v128.load(dx), a1 = v128.load(dx, 16), a2 = v128.load(dx, 32), a3 = v128.load(dx, 48);
  let b0 = v128.load(dx, 64), b1 = v128.load(dx, 80), b2 = v128.load(dx, 96), b3 = v128.load(dx, 112);
  let c0 = v128.load(dx, 128), c1 = v128.load(dx, 144), c2 = v128.load(dx, 160), c3 = v128.load(dx, 176);
  let d0 = v128.load(dx, 192), d1 = v128.load(dx, 208), d2 = v128.load(dx, 224), d3 = v128.load(dx, 240);
  let e0 = v128.load(dx, 256), e1 = v128.load(dx, 272), e2 = v128.load(dx, 288), e3 = v128.load(dx, 304);
  let f0 = v128.load(dx, 320), f1 = v128.load(dx, 336), f2 = v128.load(dx, 352), f3 = v128.load(dx, 368);
  for (const last = dy + (rows << FEATURE_SHIFT); dy < last; w += stride) {
    for (let r = w, stop = w + 16; r < stop; r += 4, dy += 64) {
      const y0 = v128.load(dy), y1 = v128.load(dy, 16), y2 = v128.load(dy, 32), y3 = v128.load(dy, 48);
      let s = v128.load32_splat(r);
      a0 = madd(s, y0, a0);
      a1 = madd(s, y1, a1);
      a2 = madd(s, y2, a2);
      a3 = madd(s, y3, a3);
      s = v128.load32_splat(r, 16);
      b0 = madd(s, y0, b0);
      b1 = madd(s, y1, b1);
      b2 = madd(s, y2, b2);
      b3 = madd(s, y3, b3);
      s = v128.load32_splat(r, 32);
      c0 = madd(s, y0, c0);
      c1 = madd(s, y1, c1);
      c2 = madd(s, y2, c2);
      c3 = madd(s, y3, c3);
      s = v128.load32_splat(r, 48);
      d0 = madd(s, y0, d0);
      d1 = madd(s, y1, d1);
      d2 = madd(s, y2, d2);
      d3 = madd(s, y3, d3);
      s = v128.load32_splat(r, 64);
      e0 = madd(s, y0, e0);
      e1 = madd(s, y1, e1);
      e2 = madd(s, y2, e2);
      e3 = madd(s, y3, e3);
      s = v128.load32_splat(r, 80);
      f0 = madd(s, y0, f0);
      f1 = madd(s, y1, f1);
      f2 = madd(s, y2, f2);
      f3 = madd(s, y3, f3);
    }
  }
  v128.store(dx, a1, 16);
  v128.store(dx, a0);
  v128.store(dx, a3, 48);
  v128.store(dx, a2, 32);
  v128.store(dx, b1, 80);
  v128.store(dx, b0, 64);
  v128.store(dx, b3, 112);
  v128.store(dx, b2, 96);
  v128.store(dx, c1, 144);
  v128.store(dx, c0, 128);
  v128.store(dx, c3, 176);
  v128.store(dx, c2, 160);
  v128.store(dx, d1, 208);
  v128.store(dx, d0, 192);
  v128.store(dx, d3, 240);
  v128.store(dx, d2, 224);
  v128.store(dx, e1, 272);
  v128.store(dx, e0, 256);
  v128.store(dx, e3, 304);
  v128.store(dx, e2, 288);
  v128.store(dx, f1, 336);
  v128.store(dx, f0, 320);
  v128.store(dx, f3, 368);
  v128.store(dx, f2, 352);
}
