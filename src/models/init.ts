/** A Llama from nothing: random dense weights, as GPT-2 and Llama start (normal, 0.02; residual outputs scaled down). */
import { Random } from '../core/random.ts';
import { packDense } from '../sparse/pack.ts';
import type { DenseWeight, PackedWeight } from '../sparse/weight.ts';
import type { LlamaConfig } from './config.ts';
import type { Gain, LlamaModel } from './model.ts';
import { FINAL_NORM, PROJECTIONS, normName, projectionName, projectionShape } from './names.ts';

/** Standard deviation of initial weights. */
const SPREAD = 0.02;

/** A dense F32 model of a configuration. The same seed gives the same weights on every host. */
export function initializeModel(config: LlamaConfig, seed: number): LlamaModel {
  const random = new Random(seed);
  const matrix = (rows: number, cols: number, spread: number): DenseWeight =>
    packDense(
      'F32',
      Float32Array.from({ length: rows * cols }, () => random.normal() * spread),
      rows,
      cols,
    );
  const gains = new Map<string, Gain>();
  const gain = (name: string): void => void gains.set(name, { dtype: 'F32', values: new Float32Array(config.hiddenSize).fill(1) });
  const embedding = matrix(config.vocabSize, config.hiddenSize, SPREAD);
  const linears = new Map<string, PackedWeight>();
  for (let layer = 0; layer < config.layers; layer++) {
    for (const projection of PROJECTIONS) {
      const [rows, cols] = projectionShape(config, projection);
      const residual = projection === 'o_proj' || projection === 'down_proj';
      linears.set(projectionName(layer, projection), matrix(rows, cols, residual ? SPREAD / Math.sqrt(2 * config.layers) : SPREAD));
    }
    gain(normName(layer, 'input_layernorm'));
    gain(normName(layer, 'post_attention_layernorm'));
  }
  gain(FINAL_NORM);
  const head = config.tied ? undefined : matrix(config.vocabSize, config.hiddenSize, SPREAD);
  return { name: 'new model', config, linears, gains, embedding, head };
}
