/**
 * Results against the definition, before anything is timed: `===`, since all numbers are small and whole (problem.ts).
 *
 * Products are checked for all their outputs at once: Y p = X (W' p) for a random vector p of small numbers other than 0
 * (Freivalds 1977), one pass over the matrix instead of one a token. One wrong output is always found; several of one token
 * are missed where their errors cancel in p's combination, at most one time in six.
 */
import { Random } from '../core/random.ts';
import type { Problem } from './problem.ts';
import { SCALING } from './problem.ts';

/** A result that is not what the definition says. */
export class WrongResult extends Error {
  override name = 'WrongResult';
}

/** (W + scaling up down) where W [rows, cols] is not 0. */
export function mergedOf(matrix: Float32Array, { rows, cols, rank, factors }: Problem): Float32Array {
  const merged = new Float32Array(matrix.length);
  const row = new Float32Array(cols);
  for (let r = 0, i = 0; r < rows; r++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const up = SCALING * factors.up[r * rank + k]!;
      if (up !== 0) for (let c = 0; c < cols; c++) row[c]! += up * factors.down[k * cols + c]!;
    }
    for (let c = 0; c < cols; c++, i++) if (matrix[i] !== 0) merged[i] = matrix[i]! + row[c]!;
  }
  return merged;
}

/** y [tokens, rows] = x [tokens, cols] W'. */
export function checkForward(what: string, y: Float32Array, matrix: Float32Array, { rows, cols, tokens, x }: Problem): void {
  const probe = probeOf(rows);
  checkProbe(what, y, probe, x, transposeTimes(matrix, rows, cols, probe), tokens);
}

/** dx [tokens, cols] = dy [tokens, rows] W. */
export function checkBackward(what: string, dx: Float32Array, matrix: Float32Array, { rows, cols, tokens, dy }: Problem): void {
  const probe = probeOf(cols);
  checkProbe(what, dx, probe, dy, times(matrix, rows, cols, probe), tokens);
}

/** h [rows, cols] = dy' x where W is not 0, and 0 elsewhere: all of the zeros, and some rows whole. */
export function checkSampled(what: string, h: Float32Array, matrix: Float32Array, { rows, cols, tokens, x, dy }: Problem): void {
  const random = new Random(4);
  const looked = new Set([0, rows - 1, ...Array.from({ length: 14 }, () => random.below(rows))]);
  for (let r = 0; r < rows; r++) {
    const want = new Float64Array(cols);
    if (looked.has(r)) {
      for (let t = 0; t < tokens; t++) {
        const d = dy[t * rows + r]!;
        if (d !== 0) for (let c = 0; c < cols; c++) want[c]! += d * x[t * cols + c]!;
      }
    }
    for (let c = 0; c < cols; c++) {
      const kept = matrix[r * cols + c] !== 0;
      if (!kept || looked.has(r)) expectSame(`${what}: row ${r}, column ${c}`, h[r * cols + c]!, kept ? want[c]! : 0);
    }
  }
}

/** The paper's factor gradients: dUp [rows, rank] = s dy' (x down'), dDown [rank, cols] = s (dy up)' x. */
export function factorGradientsOf({ rows, cols, tokens, rank, x, dy, factors }: Problem): { dUp: Float64Array; dDown: Float64Array } {
  const [dUp, dDown] = [new Float64Array(rows * rank), new Float64Array(rank * cols)];
  const [z, u] = [new Float64Array(rank), new Float64Array(rank)];
  for (let t = 0; t < tokens; t++) {
    const [xt, dyt] = [x.subarray(t * cols, (t + 1) * cols), dy.subarray(t * rows, (t + 1) * rows)];
    u.fill(0);
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += xt[c]! * factors.down[k * cols + c]!;
      z[k] = SCALING * sum;
    }
    for (let r = 0; r < rows; r++) {
      const d = dyt[r]!;
      if (d === 0) continue;
      for (let k = 0; k < rank; k++) {
        u[k]! += SCALING * d * factors.up[r * rank + k]!;
        dUp[r * rank + k]! += d * z[k]!;
      }
    }
    for (let k = 0; k < rank; k++) for (let c = 0; c < cols; c++) dDown[k * cols + c]! += u[k]! * xt[c]!;
  }
  return { dUp, dDown };
}

/** Every number the same. */
export function checkSame(what: string, got: ArrayLike<number>, want: ArrayLike<number>): void {
  if (got.length !== want.length) throw new WrongResult(`${what}: expected ${want.length} numbers, got ${got.length}.`);
  for (let i = 0; i < want.length; i++) expectSame(`${what}[${i}]`, got[i]!, want[i]!);
}

function expectSame(what: string, got: number, want: number): void {
  if (got !== want) throw new WrongResult(`${what}: expected ${want}, got ${got}: nothing is timed that computes something else.`);
}

/** Token by token, out p = input q. */
function checkProbe(what: string, out: Float32Array, p: Float64Array, input: Float32Array, q: Float64Array, tokens: number): void {
  for (let t = 0; t < tokens; t++) {
    let [got, want] = [0, 0];
    for (let i = 0, at = t * p.length; i < p.length; i++) got += out[at + i]! * p[i]!;
    for (let i = 0, at = t * q.length; i < q.length; i++) want += input[at + i]! * q[i]!;
    expectSame(`${what}: token ${t}, its outputs times a random vector`, got, want);
  }
}

/** -3 .. 3 without 0. */
function probeOf(length: number): Float64Array {
  const random = new Random(3);
  return Float64Array.from({ length }, () => (random.below(3) + 1) * (random.below(2) * 2 - 1));
}

function times(matrix: Float32Array, rows: number, cols: number, v: Float64Array): Float64Array {
  return Float64Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let c = 0, at = r * cols; c < cols; c++) sum += matrix[at + c]! * v[c]!;
    return sum;
  });
}

function transposeTimes(matrix: Float32Array, rows: number, cols: number, v: Float64Array): Float64Array {
  const out = new Float64Array(cols);
  for (let r = 0, at = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c]! += v[r]! * matrix[at++]!;
  return out;
}
