/** Wanda (arXiv 2306.11695): what a weight adds to its output, by the size of what it is multiplied by. */

/** |W_ij| * ||X_j||_2. weights: [rows, cols]; inputNorms: the norm of each input over all calibration tokens. */
export function wandaScores(weights: Float32Array, inputNorms: Float64Array): Float64Array {
  const cols = inputNorms.length;
  const scores = new Float64Array(weights.length);
  for (let i = 0; i < scores.length; i++) scores[i] = Math.abs(weights[i]!) * inputNorms[i % cols]!;
  return scores;
}
