/**
 * Outlier-weighed layerwise sparsity (OWL, Yin et al., arXiv 2310.05175): blocks with more outliers among their scores, Wanda's
 * |W_ij| * ||X_j||, keep more of their weights; the model as a whole keeps its share.
 */
import { explain } from '../core/errors.ts';

export interface OwlOptions {
  /** M: a score is an outlier from this many times its block's mean on. */
  readonly threshold: number;
  /** lambda: the most and the least sparse block are 2 lambda apart. */
  readonly lambda: number;
}

/** The paper's for Llama. */
export const OWL_DEFAULTS: OwlOptions = { threshold: 5, lambda: 0.08 };

/** The share of a block's scores above `threshold` times their mean. Its matrices are asked for twice, one at a time. */
export function outlierRatio(matrices: () => Iterable<Float64Array>, threshold: number): number {
  let [sum, count, outliers] = [0, 0, 0];
  for (const scores of matrices()) {
    for (let i = 0; i < scores.length; i++) sum += scores[i]!;
    count += scores.length;
  }
  const least = (threshold * sum) / count;
  for (const scores of matrices()) for (let i = 0; i < scores.length; i++) if (scores[i]! > least) outliers++;
  return outliers / count;
}

/**
 * The sparsity of each block, `sparsity` on average: densities are the ratios, stretched to a range of 2 lambda, around the
 * model's. Throws RangeError where one would not be from 0 to below 1.
 */
export function owlSparsities(ratios: readonly number[], sparsity: number, lambda: number): number[] {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  // Where all blocks are alike there is nothing to weigh.
  const above = ratios.map((ratio) => (most > least ? ((ratio - least) / (most - least)) * 2 * lambda : 0));
  const mean = above.reduce((sum, a) => sum + a, 0) / ratios.length;
  return above.map((a, layer) => {
    const own = sparsity - (a - mean);
    if (own >= 0 && own < 1) return own;
    throw new RangeError(
      explain(`OWL: sparsity of block ${layer}`, 'from 0 to below 1', own.toFixed(3), `Choose a lambda below ${lambda}, or another share.`),
    );
  });
}
