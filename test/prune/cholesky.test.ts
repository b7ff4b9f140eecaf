/** Triangular algebra against its definition, within the bounds that rounding has (Higham 2002, theorems 8.5 and 10.3). */
import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { cholesky, invertLower } from '../../src/prune/cholesky.ts';

/** Half a unit in the last place of an f64. */
const UNIT = 2 ** -53;
const random = new Random(1);

/** X X' + I of n features and so many samples: positive definite, and far from diagonal. */
function definite(n: number, samples: number): Float64Array {
  const x = Array.from({ length: n }, () => Array.from({ length: samples }, () => random.normal()));
  return Float64Array.from({ length: n * n }, (_, i) => {
    const [r, c] = [x[Math.floor(i / n)]!, x[i % n]!];
    return r.reduce((sum, a, s) => sum + a * c[s]!, 0) + (Math.floor(i / n) === i % n ? 1 : 0);
  });
}

/** The lower triangle, zeros above it. */
function lower(a: Float64Array, n: number): Float64Array {
  return a.map((value, i) => (i % n <= Math.floor(i / n) ? value : 0));
}

/** |A B - C| <= bound * |A| |B|, entry by entry. */
function expectProduct(a: Float64Array, b: Float64Array, c: Float64Array, n: number, bound: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let [sum, size] = [0, 0];
      for (let k = 0; k < n; k++) {
        sum += a[i * n + k]! * b[k * n + j]!;
        size += Math.abs(a[i * n + k]! * b[k * n + j]!);
      }
      expect(Math.abs(sum - c[i * n + j]!), `[${i}, ${j}]`).toBeLessThanOrEqual(bound * size);
    }
  }
}

// One, less and more than the rows that are worked on together, and a last run of them that is not full.
describe.each([1, 3, 31, 32, 33, 70])('%i x %i', (n) => {
  const a = definite(n, 2 * n);
  const factor = a.slice();
  const done = cholesky(factor, n);
  const l = lower(factor, n);
  // n roundings of a sum, one of the root or the quotient, and as many again of the check's own.
  const bound = 2 * (n + 2) * UNIT;

  test("L L' is the matrix; the upper triangle is left alone", () => {
    expect(done).toBe(true);
    const transposed = l.map((_, i) => l[(i % n) * n + Math.floor(i / n)]!);
    expectProduct(l, transposed, a, n, bound);
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) expect(factor[i * n + j]).toBe(a[i * n + j]);
  });

  test('L times its inverse is the identity', () => {
    const inverse = factor.slice();
    invertLower(inverse, n);
    expectProduct(
      l,
      lower(inverse, n),
      l.map((_, i) => (i % (n + 1) === 0 ? 1 : 0)),
      n,
      bound,
    );
  });
});

test.each([
  ['indefinite', [1, 0, 2, 1]],
  ['singular', [1, 0, 1, 1]],
  ['not a number', [1, 0, NaN, 1]],
  ['infinite', [Infinity, 0, 1, 1]],
])('a matrix that is %s is refused', (_, entries) => {
  expect(cholesky(Float64Array.from(entries), 2)).toBe(false);
});
