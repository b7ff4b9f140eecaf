/**
 * Dense triangular algebra on row-major f64 matrices, in place, for SparseGPT. Plain TypeScript: a layer of n inputs takes n^3 / 3
 * multiply-adds here, once for all layers that share those inputs, where calibrating it takes tokens * n^2 of them, and there are
 * many more tokens (128 windows of up to 2048) than inputs. f64 throughout, as an inverse deserves, and no kernel has it.
 */

/** Rows that are worked on together: they stay in cache while the rows above them pass by. */
const ROWS = 32;

/** The lower triangle of A becomes L, A = L L'. Its upper triangle is neither read nor written. False where A is not positive definite. */
export function cholesky(a: Float64Array, n: number): boolean {
  for (let first = 0; first < n; first += ROWS) {
    const last = Math.min(first + ROWS, n);
    for (let j = 0; j < last; j++) {
      for (let i = Math.max(first, j); i < last; i++) {
        const rest = a[i * n + j]! - dot(a, i * n, j * n, j);
        // NaN is not above zero either.
        if (i === j && !(rest > 0 && rest < Infinity)) return false;
        a[i * n + j] = i === j ? Math.sqrt(rest) : rest / a[j * n + j]!;
      }
    }
  }
  return true;
}

/** The lower triangle L becomes its inverse, row by row: L^-1_i = (e_i - sum_{k < i} L_ik L^-1_k) / L_ii. */
export function invertLower(a: Float64Array, n: number): void {
  const sums = new Float64Array(ROWS * n);
  for (let first = 0; first < n; first += ROWS) {
    const last = Math.min(first + ROWS, n);
    sums.fill(0);
    for (let k = 0; k < last; k++) {
      if (k >= first) {
        const scale = a[k * n + k]!;
        for (let c = 0; c < k; c++) a[k * n + c] = -sums[(k - first) * n + c]! / scale;
        a[k * n + k] = 1 / scale;
      }
      for (let i = Math.max(first, k + 1); i < last; i++) axpy(sums, (i - first) * n, a, k * n, k + 1, a[i * n + k]!);
    }
  }
}

/** y[at + i] += scale * x[from + i] for i below `length`. */
export function axpy(y: Float64Array, at: number, x: Float64Array, from: number, length: number, scale: number): void {
  for (let i = 0; i < length; i++) y[at + i]! += scale * x[from + i]!;
}

/** Four sums, so that additions need not wait for one another. */
function dot(a: Float64Array, p: number, q: number, length: number): number {
  let [s, t, u, v] = [0, 0, 0, 0];
  const whole = length & ~3;
  let i = 0;
  for (; i < whole; i += 4) {
    s += a[p + i]! * a[q + i]!;
    t += a[p + i + 1]! * a[q + i + 1]!;
    u += a[p + i + 2]! * a[q + i + 2]!;
    v += a[p + i + 3]! * a[q + i + 3]!;
  }
  for (; i < length; i++) s += a[p + i]! * a[q + i]!;
  return s + t + (u + v);
}
