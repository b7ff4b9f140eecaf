/**
 * What rounding allows each result of an adapted linear layer, from its sizes and magnitudes alone. Sums of products as
 * `tolerance` says; an error that each of n signed terms brings along grows, like the terms, by the root of n. A sum of n
 * signed products of a and b is taken to be at most sqrt(n) max|a| max|b|.
 */
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { EPS, largest, tolerance } from '../kernels/tolerance.ts';

export interface LinearCase {
  readonly rows: number;
  readonly cols: number;
  readonly tokens: number;
  readonly rank: number;
  /** Values kept in the fullest row and column. */
  readonly row: number;
  readonly column: number;
  readonly scaling: number;
  readonly W: Float32Array;
  readonly x: Float32Array;
  readonly gy: Float32Array;
  /** up, out x rank. */
  readonly A: Float32Array;
  /** down, rank x in. */
  readonly B: Float32Array;
  readonly merged: Float32Array;
}

export type Result = 'y' | 'gx' | 'gA' | 'gB';

/** Largest error of a product of n terms, where each term's second factor is itself off by `error`. */
function product(n: number, a: number, b: number, error: number): number {
  return tolerance(n, a, b) + Math.sqrt(n) * a * error;
}

/** Whether the update multiplies the weight instead of being added to it. */
function modulates(method: AdapterMethod): boolean {
  return method === 'spp' || method === 'hira';
}

/** merged = W + s up down on the pattern, or W + W * (s up down). */
export function mergedTolerance(method: AdapterMethod, { rank, scaling, W, A, B, merged }: LinearCase): number {
  const update = tolerance(rank, scaling * largest(A), largest(B));
  return modulates(method) ? largest(W) * update + 2 * EPS * largest(merged) : update + 2 * EPS * largest(W);
}

/** Of every result of a method; the golden numbers were themselves rounded to f32. */
export function resultTolerances(method: AdapterMethod, c: LinearCase): Record<Result, number> {
  const { rows, cols, tokens, rank, row, column, scaling: s } = c;
  const [W, x, gy, A, B] = [largest(c.W), largest(c.x), largest(c.gy), largest(c.A), largest(c.B)];
  // z = down x and u = up' dy, and how far off they are.
  const [z, u] = [Math.sqrt(cols) * B * x, Math.sqrt(rows) * A * gy];
  const [dz, du] = [tolerance(cols, B, x), tolerance(rows, A, gy)];
  const dMerged = mergedTolerance(method, c);
  const merged = largest(c.merged);
  const reordered = { gA: s * product(tokens, gy, z, dz), gB: s * product(tokens, x, u, du) };
  if (method === 'lora') {
    return {
      y: tolerance(row, W, x) + s * product(rank, A, z, dz),
      gx: tolerance(column, W, gy) + s * product(rank, B, u, du),
      ...reordered,
    };
  }
  const through = { y: product(row, x, merged, dMerged), gx: product(column, gy, merged, dMerged) };
  if (method === 'lors') return { ...through, ...reordered };
  // H = dy x' on the pattern, or H * W.
  const [h, dh] = modulates(method)
    ? [W * Math.sqrt(tokens) * gy * x, W * tolerance(tokens, gy, x) + EPS * W * Math.sqrt(tokens) * gy * x]
    : [Math.sqrt(tokens) * gy * x, tolerance(tokens, gy, x)];
  return { ...through, gA: s * product(row, B, h, dh), gB: s * product(column, A, h, dh) };
}
