/** SparseGPT against optimal brain surgery as it is defined: an inverse by elimination, shrunk by a row and column at a time. */
import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { inverseHessian, sparseGpt } from '../../src/prune/sparsegpt.ts';
import type { InputProducts } from '../../src/prune/sparsegpt.ts';
import { parseSparsity } from '../../src/prune/sparsity.ts';
import { packDense } from '../../src/sparse/pack.ts';
import { BLOCKS } from '../../src/sparse/block.ts';
import { gaussians, integers } from '../kernels/data.ts';

/** X X' of inputs [tokens][cols], in the panels that calibration gives. Of small integers they are exact. */
function productsOf(x: Float32Array, tokens: number, cols: number): InputProducts {
  const sums = new Float32Array(cols * cols);
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < cols; r++) for (let c = 0; c < cols; c++) sums[r * cols + c]! += x[t * cols + r]! * x[t * cols + c]!;
  }
  return { cols, tokens, sums: packDense('F32', sums, cols, cols).values as Float32Array };
}

/** H of the paper: 2/T X X' with 1 for inputs that never were, and 1 % of the mean of its diagonal on it. */
function hessianOf(x: Float32Array, tokens: number, cols: number): number[][] {
  const h = Array.from({ length: cols }, (_, r) =>
    Array.from({ length: cols }, (_, c) => {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += x[t * cols + r]! * x[t * cols + c]!;
      return (2 / tokens) * sum;
    }),
  );
  for (let i = 0; i < cols; i++) if (h[i]![i] === 0) h[i]![i] = 1;
  const mean = h.reduce((sum, row, i) => sum + row[i]!, 0) / cols;
  for (let i = 0; i < cols; i++) h[i]![i]! += 0.01 * mean;
  return h;
}

/** Gauss-Jordan, with pivots as they come: H is positive definite. */
function inverseOf(h: number[][]): number[][] {
  const n = h.length;
  const rows = h.map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    const pivot = rows[i]![i]!;
    rows[i] = rows[i]!.map((v) => v / pivot);
    for (let r = 0; r < n; r++) {
      const factor = rows[r]![i]!;
      if (r !== i && factor !== 0) rows[r] = rows[r]!.map((v, j) => v - factor * rows[i]![j]!);
    }
  }
  return rows.map((row) => row.slice(n));
}

/** For each input: the first row of the inverse of H without the inputs before it (OBS's own elimination). */
function steps(h: number[][]): number[][] {
  let inverse = inverseOf(h);
  return h.map(() => {
    const first = inverse[0]!;
    const rest = inverse.slice(1).map((row) => row.slice(1).map((v, j) => v - (row[0]! * first[j + 1]!) / first[0]!));
    inverse = rest;
    return first;
  });
}

interface Case {
  readonly rows: number;
  readonly cols: number;
  readonly sparsity: string;
  readonly allowed?: Uint8Array;
  readonly dead?: readonly number[];
}

/** The definition, a weight at a time. Groups and shares are chosen when their first input comes. */
function definition(weights: Float32Array, h: number[][], { rows, cols, sparsity, allowed, dead = [] }: Case): number[][] {
  const rule = parseSparsity(sparsity);
  const first = steps(h);
  const w = Array.from({ length: rows }, (_, r) => Array.from({ length: cols }, (_, c) => (dead.includes(c) ? 0 : weights[r * cols + c]!)));
  const dropped = w.map(() => new Set<number>());
  const cost = (r: number, c: number): number => (allowed && !allowed[r * cols + c] ? -1 : w[r]![c]! ** 2 / first[c]![0]!);
  /** Drops the cheapest of sets of weights, [row, input] each. */
  const drop = (sets: [number, number][][], count: number): void => {
    const cheapest = sets.sort((a, b) => a.reduce((s, at) => s + cost(...at), 0) - b.reduce((s, at) => s + cost(...at), 0));
    for (const [r, c] of cheapest.slice(0, count).flat()) dropped[r]!.add(c);
  };
  const { rows: R, cols: C } = rule.kind === 'block' ? BLOCKS[rule.block] : { rows: 1, cols: 1 };
  for (let c = 0; c < cols; c++) {
    if (rule.kind === 'n:m') {
      const group = Array.from({ length: rule.group }, (_, i) => c + i);
      if (c % rule.group === 0)
        for (let r = 0; r < rows; r++)
          drop(
            group.map((i) => [[r, i]]),
            rule.group - rule.keep,
          );
    } else if (c % 128 === 0) {
      const sets = new Map<string, [number, number][]>();
      for (let r = 0; r < rows; r++) {
        for (let i = c; i < Math.min(c + 128, cols); i++) {
          const key = `${Math.floor(r / R)} ${Math.floor(i / C)}`;
          sets.set(key, [...(sets.get(key) ?? []), [r, i]]);
        }
      }
      drop([...sets.values()], sets.size - Math.round(sets.size * (1 - rule.sparsity)));
    }
    for (let r = 0; r < rows; r++) {
      if (!dropped[r]!.has(c) && allowed?.[r * cols + c] !== 0) continue;
      const error = w[r]![c]! / first[c]![0]!;
      first[c]!.forEach((v, i) => (w[r]![c + i]! -= error * v));
      w[r]![c] = 0;
      dropped[r]!.add(c);
    }
  }
  return w;
}

/** Correlated inputs, small integers: each is the one before it, changed. */
function correlated(random: Random, tokens: number, cols: number, dead: readonly number[] = []): Float32Array {
  const x = integers(random, tokens * cols, 2);
  for (let t = 0; t < tokens; t++) for (let c = 1; c < cols; c++) x[t * cols + c]! += x[t * cols + c - 1]! > 2 ? 2 : x[t * cols + c - 1]!;
  for (let t = 0; t < tokens; t++) for (const c of dead) x[t * cols + c] = 0;
  return x;
}

describe('the definition, weight for weight', () => {
  const random = new Random(3);
  test.each<[string, Case]>([
    ['2:4', { rows: 5, cols: 24, sparsity: '2:4' }],
    ['2:4 over more columns than go together', { rows: 18, cols: 148, sparsity: '2:4' }],
    ['1:6, which does not divide 128', { rows: 3, cols: 150, sparsity: '1:6' }],
    ['3:200, a group of more columns than go together', { rows: 3, cols: 200, sparsity: '3:200' }],
    ['50 %, rows together', { rows: 9, cols: 40, sparsity: '50%' }],
    ['70 % over more columns than go together', { rows: 18, cols: 150, sparsity: '70%' }],
    ['blocks of 4x1, the last cut off', { rows: 10, cols: 30, sparsity: '4x1:50%' }],
    ['blocks of 4x4', { rows: 12, cols: 140, sparsity: '4x4:70%' }],
    ['blocks of 1x4', { rows: 6, cols: 32, sparsity: '1x4:50%' }],
    ['inputs that never were', { rows: 5, cols: 24, sparsity: '2:4', dead: [1, 2, 9, 23] }],
    [
      'weights that were pruned before',
      { rows: 6, cols: 24, sparsity: '50%', allowed: Uint8Array.from({ length: 144 }, (_, i) => +(i % 3 > 0)) },
    ],
    [
      'more of them than are asked for, in every other group',
      { rows: 6, cols: 24, sparsity: '2:4', allowed: Uint8Array.from({ length: 144 }, (_, i) => +(i % 8 < 6 && i % 8 !== 4)) },
    ],
  ])('%s', (_, which) => {
    const { rows, cols, sparsity, allowed, dead } = which;
    const tokens = cols * 2;
    const x = correlated(random, tokens, cols, dead);
    const weights = gaussians(random, rows * cols).map((w, i) => (allowed?.[i] === 0 ? 0 : w));
    const expected = definition(weights, hessianOf(x, tokens, cols), which).flat();
    const inverse = inverseHessian(productsOf(x, tokens, cols), 'w');
    const { keep, values } = sparseGpt(weights, rows, cols, inverse, { sparsity: parseSparsity(sparsity), allowed });

    // One rounding to f32; both sides solve in f64 what is conditioned like H, whose damping bounds it by 100 cols.
    const largest = Math.max(...expected.map(Math.abs));
    const tolerance = (w: number): number => 2 ** -24 * Math.abs(w) + 100 * cols * cols * 2 ** -53 * largest;
    expected.forEach((w, i) => expect(Math.abs(values[i]! - w), `[${i}]`).toBeLessThanOrEqual(tolerance(w)));
    keep.forEach((kept, i) => expect(kept === 0, `[${i}]`).toBe(expected[i] === 0 && !(dead?.includes(i % cols) && kept === 1)));
    const moved = weights.filter((w, i) => keep[i] && w !== values[i]).length;
    expect(moved, 'kept weights make up for the others').toBeGreaterThan(keep.reduce((n, k) => n + k, 0) / 2);
  });
});

test('two inputs, by hand: what replaces the first is its regression on the second', () => {
  // X X' = [[2, 4], [4, 10]] over two tokens is H itself; 1 % of its mean diagonal is 0.06.
  const inverse = inverseHessian(productsOf(Float32Array.of(1, 1, 1, 3), 2, 2), 'w');
  const { keep, values } = sparseGpt(Float32Array.of(0.1, 1), 1, 2, inverse, { sparsity: parseSparsity('1:2') });
  expect([...keep]).toEqual([0, 1]);
  expect([...values]).toEqual([0, Math.fround(1 + (Math.fround(0.1) * 4) / 10.06)]);
});

test('inputs that are not correlated: nothing moves, and what is kept is what Wanda keeps', () => {
  const [rows, cols] = [7, 16];
  // One token an input, of its own size.
  const x = Float32Array.from({ length: cols * cols }, (_, i) => (i % (cols + 1) === 0 ? 1 + (i % 7) : 0));
  const weights = gaussians(new Random(5), rows * cols);
  const { keep, values } = sparseGpt(weights, rows, cols, inverseHessian(productsOf(x, cols, cols), 'w'), {
    sparsity: parseSparsity('2:4'),
  });
  const damping = hessianOf(x, cols, cols)[0]![0]! - (2 / cols) * x[0]! ** 2;
  for (let at = 0; at < keep.length; at += 4) {
    const score = (i: number): number => weights[i]! ** 2 * ((2 / cols) * x[(i % cols) * (cols + 1)]! ** 2 + damping);
    const best = [0, 1, 2, 3].sort((a, b) => score(at + b) - score(at + a)).slice(0, 2);
    for (let i = 0; i < 4; i++) {
      expect(keep[at + i]).toBe(best.includes(i) ? 1 : 0);
      expect(values[at + i]).toBe(best.includes(i) ? weights[at + i] : 0);
    }
  }
});

test('activations that are not finite are named', () => {
  const products = productsOf(Float32Array.of(1, NaN, 1, 3), 2, 2);
  expect(() => inverseHessian(products, 'model.layers.1.mlp.up_proj')).toThrow(
    'model.layers.1.mlp.up_proj: inputs: expected finite activations, got a Hessian that is not positive definite.',
  );
});
