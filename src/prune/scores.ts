/** What a weight is worth to each pruner. Scores are [rows, cols], compared within a row or a group of it. */

export const PRUNERS = ['magnitude', 'wanda'] as const;
export type Pruner = (typeof PRUNERS)[number];

/** |W| */
export function magnitudeScores(weights: Float32Array): Float64Array {
  return Float64Array.from(weights, Math.abs);
}

/** |W_ij| * ||X_j||_2 (Wanda, arXiv 2306.11695). inputNorms: the norm of each input over all calibration tokens. */
export function wandaScores(weights: Float32Array, inputNorms: Float64Array): Float64Array {
  const cols = inputNorms.length;
  const scores = new Float64Array(weights.length);
  for (let i = 0; i < scores.length; i++) scores[i] = Math.abs(weights[i]!) * inputNorms[i % cols]!;
  return scores;
}
