/** Oracles of the update and of the sums that go with it. */
import { CHUNK } from '../table.ts';
import { sum, tiled } from './layout.ts';

/** PyTorch's AdamW; hyper: lr, b1, b2, eps, 1 / (1 - b1^t), 1 / (1 - b2^t), clip. */
export function adamw(
  parameters: Float64Array,
  m: Float64Array,
  v: Float64Array,
  gradients: Float64Array,
  hyper: Float64Array,
  decay: number,
  begin: number,
  end: number,
): void {
  const [lr, b1, b2, eps, c1, c2, clip] = Array.from(hyper) as [number, number, number, number, number, number, number];
  for (let i = begin * CHUNK; i < end * CHUNK; i++) {
    const g = gradients[i]! * clip;
    m[i] = b1 * m[i]! + (1 - b1) * g;
    v[i] = b2 * v[i]! + (1 - b2) * g * g;
    parameters[i] = parameters[i]! * (1 - lr * decay) - (lr * m[i]! * c1) / (Math.sqrt(v[i]! * c2) + eps);
  }
}

/** partials[c] = sum of squares of chunk c. */
export function sumSquares(partials: Float64Array, x: Float64Array, begin: number, end: number): void {
  for (let c = begin; c < end; c++) partials[c] = sum(CHUNK, (i) => x[c * CHUNK + i]! ** 2);
}

/** norm = sqrt(sum of partials); clip = min(1, maxNorm / (norm + 1e-6)), 1 where maxNorm is 0. One unit. */
export function clipScale(
  norm: Float64Array,
  clip: Float64Array,
  partials: Float64Array,
  n: number,
  maxNorm: number,
  begin: number,
  end: number,
): void {
  if (begin >= end) return;
  norm[0] = Math.sqrt(sum(n, (i) => partials[i]!));
  clip[0] = maxNorm > 0 ? Math.min(1, maxNorm / (norm[0] + 1e-6)) : 1;
}

/** total[k] += sum over the first `tokens` tokens of x[k]^2, for features. */
export function featureSquares(total: Float64Array, x: Float64Array, K: number, tokens: number, begin: number, end: number): void {
  for (let k = begin; k < end; k++) total[k]! += sum(tokens, (t) => x[tiled(t, k, K)]! ** 2);
}

/** x = 0, for chunks. */
export function clear(x: Float64Array, begin: number, end: number): void {
  x.fill(0, begin * CHUNK, end * CHUNK);
}
