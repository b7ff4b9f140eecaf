/**
 * SparseGPT (Frantar & Alistarh, arXiv 2301.00774): columns from first to last; what is dropped in one is made up for by those
 * after it, as far as the inputs X let them: the change of the output, ||(W - W') X||, is kept small with H = 2/T X X'.
 */
import { explain } from '../core/errors.ts';
import { axpy, cholesky, invertLower } from './cholesky.ts';
import { selectKept } from './select.ts';
import type { Sparsity } from './sparsity.ts';

/** What is added to H's diagonal, as a share of its mean: the paper's. */
const DAMPING = 0.01;
/** Columns whose masks are chosen together, and after which what follows is updated: the paper's. */
const COLUMNS = 128;
/** Rows that are worked on together, so that a row of U serves all of them from cache. */
const ROWS = 16;

/** X X' summed over tokens, for the inputs of one or more layers. */
export interface InputProducts {
  readonly cols: number;
  readonly tokens: number;
  /** In panels of four rows, as packDense has them. */
  readonly sums: Float32Array;
}

export interface InverseHessian {
  /** U, the upper Cholesky factor of H^-1 = U'U, row-major [cols, cols]; only its upper triangle is there. */
  readonly factor: Float64Array;
  /** 1 where an input was zero for every token: nothing is known of its weights, and they are dropped. */
  readonly dead: Uint8Array;
}

/**
 * U from the products of a layer's inputs. With rows and columns in reverse, H = L L' turns into H = R R' of an upper R, and U is
 * its inverse: half the work of inverting H and factoring the inverse. `name` is for messages. Throws RangeError.
 */
export function inverseHessian({ cols, tokens, sums }: InputProducts, name: string): InverseHessian {
  const h = new Float64Array(cols * cols);
  const dead = new Uint8Array(cols);
  for (let r = 0, i = 0; r < cols; r++) {
    for (let c = 0, at = (r >> 2) * cols * 4 + (r & 3); c < cols; c++, i++, at += 4) h[i] = (2 / tokens) * sums[at]!;
  }
  let trace = 0;
  for (let i = 0; i < h.length; i += cols + 1) {
    if (h[i] === 0) {
      dead[i / (cols + 1)] = 1;
      h[i] = 1;
    }
    trace += h[i]!;
  }
  for (let i = 0; i < h.length; i += cols + 1) h[i]! += (DAMPING * trace) / cols;
  h.reverse();
  if (!cholesky(h, cols)) throw new RangeError(explain(`${name}: inputs`, 'finite activations', 'a Hessian that is not positive definite'));
  invertLower(h, cols);
  return { factor: h.reverse(), dead };
}

export interface SparseGptOptions {
  readonly sparsity: Sparsity;
  /** Weights that may be kept, 1 where they may; all when absent. */
  readonly allowed?: Uint8Array | undefined;
}

/**
 * Prunes W [rows, cols]: the mask, and the weights that are left, moved. A share is that of each 128 columns. A block is worth the
 * sum of its weights, w^2 / U_jj^2 each, as though dropping one did not change what the others cost.
 */
export function sparseGpt(
  weights: Float32Array,
  rows: number,
  cols: number,
  { factor: u, dead }: InverseHessian,
  { sparsity, allowed }: SparseGptOptions,
): { keep: Uint8Array; values: Float32Array } {
  const w = Float64Array.from(weights, (value, i) => (dead[i % cols] ? 0 : value));
  const keep = new Uint8Array(rows * cols);
  const group = sparsity.kind === 'n:m' ? sparsity.group : 0;
  // Groups do not cross from one run of columns to the next.
  const width = group ? Math.max(1, Math.floor(COLUMNS / group)) * group : COLUMNS;
  const errors = new Float64Array(ROWS * width);

  /** Chooses rows [r, bottom) of columns [c, right), by the root of w^2 / U_jj^2: selecting squares what it adds up. */
  const choose = (r: number, bottom: number, c: number, right: number): void => {
    const scores = new Float64Array((bottom - r) * (right - c));
    const each = (visit: (i: number, n: number) => void): void => {
      for (let row = r, n = 0; row < bottom; row++) for (let j = c; j < right; j++, n++) visit(row * cols + j, n);
    };
    each((i, n) => (scores[n] = allowed && !allowed[i] ? 0 : Math.abs(w[i]!) / u[(i % cols) * (cols + 1)]!));
    const kept = selectKept(scores, bottom - r, right - c, sparsity, 'matrix');
    each((i, n) => (keep[i] = allowed ? kept[n]! & allowed[i]! : kept[n]!));
  };

  /** Drops what is not kept of row r in columns [first, last), one after the other; errors[at...]: what each leaves to later columns. */
  const eliminate = (r: number, first: number, last: number, at: number): void => {
    for (let j = first; j < last; j++) {
      if (group && (j - first) % group === 0) choose(r, r + 1, j, j + group);
      const i = r * cols + j;
      const error = keep[i] ? 0 : w[i]! / u[j * (cols + 1)]!;
      errors[at + j - first] = error;
      if (error !== 0) axpy(w, i + 1, u, j * (cols + 1) + 1, last - j - 1, -error);
      if (!keep[i]) w[i] = 0;
    }
  };

  for (let first = 0; first < cols; first += width) {
    const last = Math.min(first + width, cols);
    if (!group) choose(0, rows, first, last);
    for (let top = 0; top < rows; top += ROWS) {
      const bottom = Math.min(top + ROWS, rows);
      for (let r = top; r < bottom; r++) eliminate(r, first, last, (r - top) * width);
      for (let j = first; j < last; j++) {
        for (let r = top; r < bottom; r++) {
          const error = errors[(r - top) * width + j - first]!;
          if (error !== 0) axpy(w, r * cols + last, u, j * cols + last, cols - last, -error);
        }
      }
    }
  }
  return { keep, values: Float32Array.from(w) };
}
