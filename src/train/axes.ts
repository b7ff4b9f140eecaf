/**
 * Dense algebra on a few columns, for gradientInit.ts: matrices [n][k] with k of a hundred or less, in f64 and plain TypeScript.
 * All together it is a small share of the passes over data that give the matrices.
 */
import type { Random } from '../core/random.ts';

/** Variances below this share of the largest are rounding of the f32 sums that they come from. */
const NOTHING = 1e-12;

/**
 * The principal axes of the columns of A [n][k], in place: A becomes A E / sqrt(L), where A'A = E L E', the largest first. They
 * are A's left singular vectors; columns beyond A's rank become 0. Returns A's singular values.
 */
export function principalAxes(a: Float32Array, n: number, k: number): Float64Array {
  const gram = new Float64Array(k * k);
  for (let i = 0; i < n; i++) {
    for (let p = 0; p < k; p++) {
      const x = a[i * k + p]!;
      for (let q = p; q < k; q++) gram[p * k + q]! += x * a[i * k + q]!;
    }
  }
  for (let p = 0; p < k; p++) for (let q = 0; q < p; q++) gram[p * k + q] = gram[q * k + p]!;
  const { values, vectors } = symmetricEigen(gram, k);
  const order = Array.from(values.keys()).sort((p, q) => values[q]! - values[p]!);
  const scales = order.map((p) => (values[p]! > NOTHING * values[order[0]!]! ? 1 / Math.sqrt(values[p]!) : 0));
  const row = new Float64Array(k);
  for (let i = 0; i < n; i++) {
    row.set(a.subarray(i * k, (i + 1) * k));
    for (const [at, p] of order.entries()) {
      let sum = 0;
      for (let q = 0; q < k; q++) sum += row[q]! * vectors[q * k + p]!;
      a[i * k + at] = sum * scales[at]!;
    }
  }
  return Float64Array.from(order, (p) => Math.sqrt(Math.max(0, values[p]!)));
}

/** Rotations per entry after which Jacobi's method has long converged: it does so quadratically, in six to ten sweeps. */
const SWEEPS = 60;

/**
 * Eigenvalues of a symmetric matrix [k][k], and its eigenvectors as columns, by Jacobi's cyclic rotations (Golub and Van Loan,
 * Matrix Computations, section 8.5). The matrix is overwritten.
 */
export function symmetricEigen(a: Float64Array, k: number): { values: Float64Array; vectors: Float64Array } {
  const vectors = new Float64Array(k * k);
  for (let i = 0; i < k; i++) vectors[i * k + i] = 1;
  const size = Math.sqrt(dot(a, a));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false;
    for (let p = 0; p < k; p++) {
      for (let q = p + 1; q < k; q++) {
        const apq = a[p * k + q]!;
        if (Math.abs(apq) <= 1e-17 * size) continue;
        rotated = true;
        const theta = (a[q * k + q]! - a[p * k + p]!) / (2 * apq);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        for (let i = 0; i < k; i++) rotate(a, i * k + p, i * k + q, c, t * c);
        for (let i = 0; i < k; i++) rotate(a, p * k + i, q * k + i, c, t * c);
        for (let i = 0; i < k; i++) rotate(vectors, i * k + p, i * k + q, c, t * c);
      }
    }
    if (!rotated) break;
  }
  return { values: Float64Array.from({ length: k }, (_, i) => a[i * k + i]!), vectors };
}

function rotate(a: Float64Array, i: number, j: number, c: number, s: number): void {
  const [x, y] = [a[i]!, a[j]!];
  a[i] = c * x - s * y;
  a[j] = s * x + c * y;
}

/**
 * Makes rows [r][n] orthonormal, each by taking out those before it (Gram and Schmidt, twice: that is enough). A row that has
 * nothing left becomes a random direction.
 */
export function orthonormalRows(rows: Float32Array, r: number, n: number, random: Random): void {
  const done: Float64Array[] = [];
  for (let i = 0; i < r; i++) {
    let row = Float64Array.from(rows.subarray(i * n, (i + 1) * n));
    while (!normalized(row, done)) row = Float64Array.from({ length: n }, () => random.normal());
    done.push(row);
    rows.set(row, i * n);
  }
}

/** Takes the directions out of a row and gives it length one; false where rounding is all that would be left. */
function normalized(row: Float64Array, directions: readonly Float64Array[]): boolean {
  const before = Math.sqrt(dot(row, row));
  for (const direction of [...directions, ...directions]) {
    const share = dot(row, direction);
    for (let j = 0; j < row.length; j++) row[j]! -= share * direction[j]!;
  }
  const length = Math.sqrt(dot(row, row));
  if (!(length > 1e-6 * before)) return false;
  for (let j = 0; j < row.length; j++) row[j]! /= length;
  return true;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
