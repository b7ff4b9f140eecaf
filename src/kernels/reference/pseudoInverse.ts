/** Oracles of the damped pseudo-inverse of a factor [N][r]. */
import { sum } from './layout.ts';

/**
 * S = F' F, m = tr S / ranks, work = (S + damping m I)^-1, p = m work; where F is zero, work = S and p = I. One unit. By the
 * columns of the inverse: each solves a system, by Gauss with the largest pivot.
 */
export function inverseGram(
  p: Float64Array,
  work: Float64Array,
  factor: Float64Array,
  N: number,
  rank: number,
  ranks: number,
  damping: number,
  begin: number,
  end: number,
): void {
  if (begin >= end) return;
  const s = Array.from({ length: rank }, (_, i) =>
    Array.from({ length: rank }, (_, j) => sum(N, (n) => factor[n * rank + i]! * factor[n * rank + j]!)),
  );
  const mean = sum(rank, (k) => s[k]![k]!) / ranks;
  for (let j = 0; j < rank; j++) {
    const unit = Array.from({ length: rank }, (_, i) => Number(i === j));
    const damped = s.map((row, i) => row.map((value, k) => value + (i === k ? damping * mean : 0)));
    const column = mean === 0 ? unit : solve(damped, unit);
    for (let i = 0; i < rank; i++) {
      work[i * rank + j] = mean === 0 ? 0 : column[i]!;
      p[i * rank + j] = mean === 0 ? column[i]! : mean * column[i]!;
    }
  }
}

/** x with a x = b. */
function solve(a: number[][], b: number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]!]);
  const n = b.length;
  for (let k = 0; k < n; k++) {
    const largest = rows.slice(k).reduce((at, row, i) => (Math.abs(row[k]!) > Math.abs(rows[at]![k]!) ? k + i : at), k);
    [rows[k], rows[largest]] = [rows[largest]!, rows[k]!];
    for (let i = k + 1; i < n; i++) {
      const c = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j <= n; j++) rows[i]![j]! -= c * rows[k]![j]!;
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let k = n - 1; k >= 0; k--) {
    const known = sum(n - 1 - k, (j) => rows[k]![k + 1 + j]! * x[k + 1 + j]!);
    x[k] = (rows[k]![n]! - known) / rows[k]![k]!;
  }
  return x;
}

/** Q = F P, for rows of F. */
export function timesSquare(q: Float64Array, factor: Float64Array, p: Float64Array, rank: number, begin: number, end: number): void {
  for (let i = begin; i < end; i++) {
    for (let k = 0; k < rank; k++) q[i * rank + k] = sum(rank, (j) => factor[i * rank + j]! * p[j * rank + k]!);
  }
}
