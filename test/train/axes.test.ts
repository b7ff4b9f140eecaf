/** The small dense algebra of the gradient initialisation, by what defines it. */
import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { orthonormalRows, principalAxes, symmetricEigen } from '../../src/train/axes.ts';

/** Rows times columns: a [n][k], b [k][m]. */
function product(a: ArrayLike<number>, b: ArrayLike<number>, n: number, k: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let q = 0; q < k; q++) for (let j = 0; j < m; j++) out[i * m + j]! += a[i * k + q]! * b[q * m + j]!;
  return out;
}

/** [n][k] -> [k][n]. */
function transposed(a: ArrayLike<number>, n: number, k: number): Float64Array {
  return Float64Array.from({ length: n * k }, (_, i) => a[(i % n) * k + Math.floor(i / n)]!);
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));
}

const identity = (n: number): Float64Array => Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));

/** Q S P' with the given singular values: Q [n][k] and P [k][k] orthonormal. */
function withSingularValues(values: readonly number[], n: number, random: Random): { a: Float32Array; q: Float32Array } {
  const k = values.length;
  const rows = (r: number, length: number): Float32Array => {
    const m = Float32Array.from({ length: r * length }, () => random.normal());
    orthonormalRows(m, r, length, random);
    return m;
  };
  const [q, p] = [rows(k, n), rows(k, k)];
  const scaled = p.map((x, i) => x * values[Math.floor(i / k)]!);
  return { a: Float32Array.from(product(transposed(q, k, n), scaled, n, k, k)), q };
}

describe('symmetricEigen', () => {
  test.each([1, 2, 7, 32])('%i rows: A E = E L with E orthogonal, to the rounding of f64', (k) => {
    const random = new Random(k);
    const a = Float64Array.from({ length: k * k });
    for (let i = 0; i < k; i++) for (let j = 0; j <= i; j++) a[i * k + j] = a[j * k + i] = random.normal();
    const { values, vectors } = symmetricEigen(a.slice(), k);
    const scaled = vectors.map((x, i) => x * values[i % k]!);
    // A rotation rounds each entry it touches once or twice; a sweep rotates each k times; convergence takes six sweeps or so.
    const allowed = 2 ** -53 * 16 * k * Math.max(...values.map(Math.abs));
    expect(worst(product(a, vectors, k, k, k), scaled)).toBeLessThanOrEqual(allowed);
    expect(worst(product(transposed(vectors, k, k), vectors, k, k, k), identity(k))).toBeLessThanOrEqual(2 ** -53 * 16 * k);
  });

  test('a diagonal matrix, one with equal eigenvalues, and nothing at all', () => {
    expect([...symmetricEigen(Float64Array.of(3, 0, 0, -1), 2).values]).toEqual([3, -1]);
    const { values } = symmetricEigen(Float64Array.of(2, 1, 1, 1, 2, 1, 1, 1, 2), 3);
    expect(worst(values.sort(), [1, 1, 4])).toBeLessThan(1e-14);
    expect([...symmetricEigen(new Float64Array(4), 2).values]).toEqual([0, 0]);
  });
});

describe('principalAxes', () => {
  test('are the left singular vectors, the largest first, up to their sign', () => {
    const [n, singular] = [19, [8, 4, 2, 1, 0.5, 0.25]];
    const { a, q } = withSingularValues(singular, n, new Random(1));
    const k = singular.length;
    const found = principalAxes(a, n, k);
    expect(worst(found, singular)).toBeLessThan(8 * 4 * 2 ** -24);
    const cosines = product(q, a, k, n, k);
    // A was rounded to f32: relative to the largest singular value, and a direction turns by that over the gap to the next.
    for (let i = 0; i < k; i++) expect(Math.abs(cosines[i * k + i]!)).toBeGreaterThan(1 - (8 * n * 2 ** -24) / singular[i]!);
  });

  test('what is beyond the rank becomes zero, and orthonormalRows gives it a direction of its own', () => {
    const [n, k] = [11, 4];
    const { a } = withSingularValues([3, 2, 0, 0], n, new Random(2));
    principalAxes(a, n, k);
    for (const column of [0, 1, 2, 3]) {
      const length = Math.hypot(...Array.from({ length: n }, (_, i) => a[i * k + column]!));
      expect(length).toBeCloseTo(column < 2 ? 1 : 0, 6);
    }
    const rows = Float32Array.from(transposed(a, n, k));
    orthonormalRows(rows, k, n, new Random(3));
    expect(worst(product(rows, transposed(rows, k, n), k, n, k), identity(k))).toBeLessThan(4 * 2 ** -24);
  });
});
