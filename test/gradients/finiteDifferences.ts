/** Gradients against central differences, in f64. */
import { expect } from 'vitest';
import type { Random } from '../../src/core/random.ts';

/** A step for which the truncation (h^2) and the rounding (2^-52 / h) of a difference are both below TOLERANCE. */
const H = 1e-5;
const TOLERANCE = 1e-7;

/** Standard normal f64s. */
export function normals(random: Random, length: number): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length }, () => random.normal());
}

export function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((s, v, i) => s + v * b[i]!, 0);
}

/**
 * Claims that `gradient` is the slope of `loss` in `x`, at the first, the last and some random entries, or at all where
 * there are few. `loss` reads x as it is at the time.
 */
export function expectSlope(what: string, loss: () => number, x: Float64Array, gradient: Float64Array, random: Random, entries = 12): void {
  expect(gradient.length).toBe(x.length);
  const scale = gradient.reduce((m, g) => Math.max(m, Math.abs(g)), 1);
  const some =
    x.length <= entries ? [...x.keys()] : [0, x.length - 1, ...Array.from({ length: entries - 2 }, () => random.below(x.length))];
  for (const i of some) {
    const old = x[i]!;
    x[i] = old + H;
    const above = loss();
    x[i] = old - H;
    const below = loss();
    x[i] = old;
    const slope = (above - below) / (2 * H);
    if (!(Math.abs(slope - gradient[i]!) <= TOLERANCE * scale))
      throw new Error(`${what}[${i}]: expected the slope ${slope}, got ${gradient[i]}.`);
  }
}
