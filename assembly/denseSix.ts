// The dense tile of the relaxed build: six rows, or inputs, by eight tokens (layout: dense.ts). Twelve sums, two vectors and a
// splat are what V8 has registers for, fifteen; eight sums would be just as many as two multiply-adds a cycle of latency four
// take, and each that comes late would be lost. The plain build's products need a sixteenth.
import { FEATURE_SHIFT, madd } from './lanes';

/**
 * Six rows by eight tokens over n inputs, n > 0: four rows of y with one panel of weights, two rows of z with another. The first
 * input comes before the loop, so that V8 keeps the addresses of the splats in registers.
 */
export function forwardSix(y: usize, z: usize, x: usize, w: usize, v: usize, n: usize): void {
  let x0 = v128.load(x), x1 = v128.load(x, 16), s = v128.load32_splat(w);
  let a0 = madd(s, x0, v128.load(y));
  let a1 = madd(s, x1, v128.load(y, 16));
  s = v128.load32_splat(w, 4);
  let b0 = madd(s, x0, v128.load(y, 64));
  let b1 = madd(s, x1, v128.load(y, 80));
  s = v128.load32_splat(w, 8);
  let c0 = madd(s, x0, v128.load(y, 128));
  let c1 = madd(s, x1, v128.load(y, 144));
  s = v128.load32_splat(w, 12);
  let d0 = madd(s, x0, v128.load(y, 192));
  let d1 = madd(s, x1, v128.load(y, 208));
  s = v128.load32_splat(v);
  let e0 = madd(s, x0, v128.load(z));
  let e1 = madd(s, x1, v128.load(z, 16));
  s = v128.load32_splat(v, 4);
  let f0 = madd(s, x0, v128.load(z, 64));
  let f1 = madd(s, x1, v128.load(z, 80));
  while (--n) {
    x += 64;
    w += 16;
    v += 16;
    x0 = v128.load(x);
    x1 = v128.load(x, 16);
    s = v128.load32_splat(w);
    a0 = madd(s, x0, a0);
    a1 = madd(s, x1, a1);
    s = v128.load32_splat(w, 4);
    b0 = madd(s, x0, b0);
    b1 = madd(s, x1, b1);
    s = v128.load32_splat(w, 8);
    c0 = madd(s, x0, c0);
    c1 = madd(s, x1, c1);
    s = v128.load32_splat(w, 12);
    d0 = madd(s, x0, d0);
    d1 = madd(s, x1, d1);
    s = v128.load32_splat(v);
    e0 = madd(s, x0, e0);
    e1 = madd(s, x1, e1);
    s = v128.load32_splat(v, 4);
    f0 = madd(s, x0, f0);
    f1 = madd(s, x1, f1);
  }
  v128.store(y, a0);
  v128.store(y, a1, 16);
  v128.store(y, b0, 64);
  v128.store(y, b1, 80);
  v128.store(y, c0, 128);
  v128.store(y, c1, 144);
  v128.store(y, d0, 192);
  v128.store(y, d1, 208);
  v128.store(z, e0);
  v128.store(z, e1, 16);
  v128.store(z, f0, 64);
  v128.store(z, f1, 80);
}

/**
 * Six inputs by eight tokens over `rows` rows, rows > 0; w: the panel of the first four. A panel a turn, with a way out after each
 * row as in pairTile (dense.ts).
 */
export function backwardSix(dx: usize, dy: usize, w: usize, stride: usize, rows: usize): void {
  let a0 = v128.load(dx), a1 = v128.load(dx, 16);
  let b0 = v128.load(dx, 64), b1 = v128.load(dx, 80);
  let c0 = v128.load(dx, 128), c1 = v128.load(dx, 144);
  let d0 = v128.load(dx, 192), d1 = v128.load(dx, 208);
  let e0 = v128.load(dx, 256), e1 = v128.load(dx, 272);
  let f0 = v128.load(dx, 320), f1 = v128.load(dx, 336);
  for (;;) {
    let y0 = v128.load(dy), y1 = v128.load(dy, 16), s = v128.load32_splat(w);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 16);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 32);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 48);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    s = v128.load32_splat(w, 64);
    e0 = madd(s, y0, e0);
    e1 = madd(s, y1, e1);
    s = v128.load32_splat(w, 80);
    f0 = madd(s, y0, f0);
    f1 = madd(s, y1, f1);
    if (rows == 1) break;
    w += 4;
    y0 = v128.load(dy, 64);
    y1 = v128.load(dy, 80);
    s = v128.load32_splat(w);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 16);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 32);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 48);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    s = v128.load32_splat(w, 64);
    e0 = madd(s, y0, e0);
    e1 = madd(s, y1, e1);
    s = v128.load32_splat(w, 80);
    f0 = madd(s, y0, f0);
    f1 = madd(s, y1, f1);
    if (rows == 2) break;
    w += 4;
    y0 = v128.load(dy, 128);
    y1 = v128.load(dy, 144);
    s = v128.load32_splat(w);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 16);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 32);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 48);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    s = v128.load32_splat(w, 64);
    e0 = madd(s, y0, e0);
    e1 = madd(s, y1, e1);
    s = v128.load32_splat(w, 80);
    f0 = madd(s, y0, f0);
    f1 = madd(s, y1, f1);
    if (rows == 3) break;
    w += 4;
    y0 = v128.load(dy, 192);
    y1 = v128.load(dy, 208);
    s = v128.load32_splat(w);
    a0 = madd(s, y0, a0);
    a1 = madd(s, y1, a1);
    s = v128.load32_splat(w, 16);
    b0 = madd(s, y0, b0);
    b1 = madd(s, y1, b1);
    s = v128.load32_splat(w, 32);
    c0 = madd(s, y0, c0);
    c1 = madd(s, y1, c1);
    s = v128.load32_splat(w, 48);
    d0 = madd(s, y0, d0);
    d1 = madd(s, y1, d1);
    s = v128.load32_splat(w, 64);
    e0 = madd(s, y0, e0);
    e1 = madd(s, y1, e1);
    s = v128.load32_splat(w, 80);
    f0 = madd(s, y0, f0);
    f1 = madd(s, y1, f1);
    rows -= 4;
    if (rows == 0) break;
    dy += 256;
    w += stride - 12;
  }
  v128.store(dx, a0);
  v128.store(dx, a1, 16);
  v128.store(dx, b0, 64);
  v128.store(dx, b1, 80);
  v128.store(dx, c0, 128);
  v128.store(dx, c1, 144);
  v128.store(dx, d0, 192);
  v128.store(dx, d1, 208);
  v128.store(dx, e0, 256);
  v128.store(dx, e1, 272);
  v128.store(dx, f0, 320);
  v128.store(dx, f1, 336);
}
