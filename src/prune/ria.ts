/**
 * Relative importance and activations (Zhang et al., ICLR 2024, "Plug-and-Play"): a weight counts by its share of its input's
 * and of its output's weights, so that no input or output is pruned away as a whole.
 */

/**
 * (|W_ij| / sum_i |W_ij| + |W_ij| / sum_j |W_ij|) * ||X_j||_2^0.5; 0 for a zero weight. weights: [rows, cols]; inputNorms: the
 * norm of each input over all calibration tokens.
 */
export function riaScores(weights: Float32Array, inputNorms: Float64Array): Float64Array {
  const cols = inputNorms.length;
  const scores = new Float64Array(weights.length);
  const outputs = new Float64Array(weights.length / cols);
  const inputs = new Float64Array(cols);
  for (let r = 0, i = 0; r < outputs.length; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const size = Math.abs(weights[i]!);
      outputs[r]! += size;
      inputs[c]! += size;
    }
  }
  const roots = inputNorms.map(Math.sqrt);
  for (let r = 0, i = 0; r < outputs.length; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const size = Math.abs(weights[i]!);
      // An input or an output without weights would be 0 / 0.
      if (size > 0) scores[i] = (size / inputs[c]! + size / outputs[r]!) * roots[c]!;
    }
  }
  return scores;
}
