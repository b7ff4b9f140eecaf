// The damped pseudo-inverse of a factor, which the scaled gradient pulls back through (adapters/lors.ts).
//
//   F [N][r], S = F' F, m = tr S / ranks             P = m (S + damping m I)^-1             F P = m F (S + damping m I)^-1
//
// r is the rank padded to a multiple of 4 by zeros, `ranks` the rank without them. The mean eigenvalue m keeps the size of F:
// where the columns of F are orthogonal and of one length, F P is F / (1 + damping). Where F is zero, P is I.
// ScaledGD: Tong, Ma, Chi, JMLR 2021; for LoRA: Zhang & Pilanci, arXiv 2402.02347.
import { madd, splatAt } from './lanes';

/** P, for the one unit [0, 1). p: f32 [r][r]; work: f64 [r][r], which holds S and then its damped inverse. */
export function inverseGram(p: usize, work: usize, factor: usize, N: usize, rank: usize, ranks: usize, damping: f64, begin: usize, end: usize): void {
  if (begin >= end) return;
  gram(work, factor, N, rank);
  const size = rank * rank, row = rank << 3;
  let mean: f64 = 0;
  for (let k: usize = 0; k < rank; k++) mean += load<f64>(work + k * (row + 8));
  mean /= <f64>ranks;
  if (mean == 0) {
    memory.fill(p, 0, size << 2);
    for (let k: usize = 0; k < rank; k++) store<f32>(p + ((k * (rank + 1)) << 2), 1);
    return;
  }
  for (let k: usize = 0; k < rank; k++) {
    const d = work + k * (row + 8);
    store<f64>(d, load<f64>(d) + damping * mean);
  }
  invert(work, rank);
  for (let i: usize = 0; i < size; i++) store<f32>(p + (i << 2), <f32>(mean * load<f64>(work + (i << 3))));
}

/** S = F' F in f64, row by row of F: pairs of columns from each row's diagonal on, then mirrored. */
function gram(s: usize, factor: usize, N: usize, rank: usize): void {
  const row = rank << 3;
  memory.fill(s, 0, rank * row);
  for (let f = factor, last = factor + ((N * rank) << 2); f < last; f += rank << 2) {
    for (let i: usize = 0; i < rank; i++) {
      const a = f64x2.splat(<f64>load<f32>(f + (i << 2)));
      for (let j = i & ~1; j < rank; j += 2) {
        const o = s + i * row + (j << 3);
        const b = f64x2.promote_low_f32x4(v128.load64_zero(f + (j << 2)));
        v128.store(o, f64x2.add(v128.load(o), f64x2.mul(a, b)));
      }
    }
  }
  for (let i: usize = 1; i < rank; i++) {
    for (let j: usize = 0; j < i; j++) store<f64>(s + i * row + (j << 3), load<f64>(s + j * row + (i << 3)));
  }
}

/** The inverse of a symmetric positive definite matrix [n][n] in its place: Gauss and Jordan, for which it needs no pivots. */
function invert(a: usize, n: usize): void {
  const row = n << 3;
  for (let k: usize = 0; k < n; k++) {
    const pivots = a + k * row, q = 1 / load<f64>(pivots + (k << 3));
    store<f64>(pivots + (k << 3), 1);
    for (let j: usize = 0; j < row; j += 8) store<f64>(pivots + j, load<f64>(pivots + j) * q);
    for (let i: usize = 0; i < n; i++) {
      if (i == k) continue;
      const at = a + i * row, c = load<f64>(at + (k << 3));
      store<f64>(at + (k << 3), 0);
      for (let j: usize = 0; j < row; j += 8) store<f64>(at + j, load<f64>(at + j) - c * load<f64>(pivots + j));
    }
  }
}

/** Q = F P, for rows [begin, end). q, factor: [N][r]; p: [r][r], symmetric or not. */
export function timesSquare(q: usize, factor: usize, p: usize, rank: usize, begin: usize, end: usize): void {
  const row = rank << 2;
  for (let f = factor + begin * row, last = factor + end * row, o = q + begin * row; f < last; f += row, o += row) {
    for (let k: usize = 0; k < row; k += 16) {
      let a = f32x4.splat(0), b = a;
      for (let i = f, c = p + k; i < f + row; i += 16, c += row << 2) {
        a = madd(splatAt(i), v128.load(c), a), b = madd(v128.load32_splat(i, 4), v128.load(c + row), b);
        a = madd(v128.load32_splat(i, 8), v128.load(c + (row << 1)), a), b = madd(v128.load32_splat(i, 12), v128.load(c + row * 3), b);
      }
      v128.store(o + k, f32x4.add(a, b));
    }
  }
}
