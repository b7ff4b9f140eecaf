/** What a weight is worth to the pruners that score weights. */
import { magnitudeScores } from './magnitude.ts';
import { riaScores } from './ria.ts';
import type { Pruner } from './rule.ts';
import { wandaScores } from './wanda.ts';

/** Pruners that drop the lowest scores and leave what they keep as it is. SparseGPT decides as it goes. */
export type ScoringPruner = Exclude<Pruner, 'sparsegpt'>;

/** Scores [rows, cols] of weights [rows, cols]; inputNorms, ||X_j||_2 of each input, for all but magnitude. */
export function scoresOf(method: ScoringPruner, weights: Float32Array, inputNorms: Float64Array | undefined): Float64Array {
  if (method === 'magnitude') return magnitudeScores(weights);
  if (!inputNorms) throw new TypeError(`${method}: expected the norms of the inputs, got none.`);
  return method === 'wanda' ? wandaScores(weights, inputNorms) : riaScores(weights, inputNorms);
}
