/** Magnitude pruning: a weight is worth its size. */

/** |W| */
export function magnitudeScores(weights: Float32Array): Float64Array {
  return Float64Array.from(weights, Math.abs);
}
