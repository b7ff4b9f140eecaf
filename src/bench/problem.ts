/**
 * What a group of cases computes on: small whole numbers, so that every sum is exact in f32 in whatever order it is added up,
 * and results can be asked to be right to the last bit.
 */
import type { FactorTensors } from '../adapters/factors.ts';
import { Random } from '../core/random.ts';
import type { Pattern } from './patterns.ts';
import { randomMask } from './patterns.ts';
import type { Shape } from './shapes.ts';

export interface Problem extends Shape {
  readonly tokens: number;
  readonly rank: number;
  /** [tokens, cols], of -2 .. 2. */
  readonly x: Float32Array;
  /** [tokens, rows], of -2 .. 2. */
  readonly dy: Float32Array;
  /** Of -1 .. 1. */
  readonly factors: FactorTensors;
}

/** The scaling of the adapter: any other would only be more rounding. */
export const SCALING = 1;

export function makeProblem({ rows, cols }: Shape, tokens: number, rank: number): Problem {
  const random = new Random(1);
  const among = (length: number, most: number): Float32Array => Float32Array.from({ length }, () => random.below(2 * most + 1) - most);
  const factors = { rank, up: among(rows * rank, 1), down: among(rank * cols, 1) };
  return { rows, cols, tokens, rank, x: among(tokens * cols, 2), dy: among(tokens * rows, 2), factors };
}

/** A matrix [rows, cols] of a pattern: 1 to 3 of either sign where it keeps, and 0 elsewhere. */
export function makeMatrix(pattern: Pattern, { rows, cols }: Shape): Float32Array {
  const random = new Random(2);
  const keep = randomMask(pattern, rows, cols, random);
  return Float32Array.from(keep, (kept) => kept && (random.below(3) + 1) * (random.below(2) * 2 - 1));
}
