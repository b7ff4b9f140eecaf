/** Prunes a model's projections block by block; each block's inputs come through the already pruned ones before it. */
import { decodeWeights } from '../core/dtypes.ts';
import type { Sequence } from '../models/batch.ts';
import { smallest, withValues } from '../models/fuse.ts';
import type { LlamaModel } from '../models/model.ts';
import { PROJECTIONS, projectionName } from '../models/names.ts';
import type { Sessions } from '../runtime/session.ts';
import { nonZeros } from '../sparse/keepMask.ts';
import { pack, unpack } from '../sparse/pack.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { Calibration } from './calibrate.ts';
import type { Pruner } from './scores.ts';
import { magnitudeScores, wandaScores } from './scores.ts';
import { selectKept } from './select.ts';
import type { Sparsity } from './sparsity.ts';

export interface PruneOptions {
  readonly method: Pruner;
  readonly sparsity: Sparsity;
  /** Calibration text; magnitude needs none. */
  readonly calibration: readonly Sequence[];
  /** Where calibration runs. */
  readonly sessions: Sessions;
  /** Called when a block is done. */
  readonly onBlock?: (layer: number, layers: number) => void;
}

/**
 * A model whose projections keep only the weights that score highest. The embedding, the head and the norms stay.
 * Throws RangeError where an N:M group does not divide a layer's inputs, or Wanda has no calibration text.
 */
export async function pruneModel(model: LlamaModel, options: PruneOptions): Promise<LlamaModel> {
  const { method, calibration } = options;
  if (method === 'wanda' && calibration.length === 0) throw new RangeError('wanda: expected calibration text, got none.');
  // A group that does not fit is found before any work is done.
  for (const [name, { cols }] of model.linears) selectKept(new Float64Array(cols), 1, cols, options.sparsity, name);
  const run = method === 'wanda' ? await Calibration.start(model, calibration, options.sessions) : undefined;
  const { layers } = model.config;
  let pruned = model;
  for (let layer = 0; layer < layers; layer++) {
    const norms = await run?.inputNorms(pruned, layer);
    const linears = new Map<string, PackedWeight>();
    for (const projection of PROJECTIONS) {
      const name = projectionName(layer, projection);
      linears.set(name, pruneWeight(name, model.linears.get(name)!, options.sparsity, norms?.get(name)));
    }
    pruned = withValues(pruned, { linears });
    if (layer + 1 < layers) await run?.advance(pruned, layer);
    options.onBlock?.(layer, layers);
  }
  return pruned;
}

/** From this density on a matrix was not pruned before: its zeros are chance. */
const DENSE = 0.99;

function pruneWeight(name: string, weight: PackedWeight, sparsity: Sparsity, inputNorms: Float64Array | undefined): PackedWeight {
  const { rows, cols, dtype } = weight;
  const elements = unpack(weight, weight.values);
  const values = decodeWeights(dtype, elements);
  const scores = inputNorms ? wandaScores(values, inputNorms) : magnitudeScores(values);
  const keep = selectKept(scores, rows, cols, sparsity, name);
  // What was zero before stays pruned, whatever room its group has. But a zero that a dense matrix happens to hold would break
  // the block that it is in: there it is kept, as the smallest number of its type, as fusing does.
  const before = nonZeros(dtype, elements);
  const wholeBlocks = sparsity.kind === 'block' && before.reduce((n, b) => n + b, 0) >= before.length * DENSE;
  for (let i = 0; i < keep.length; i++) {
    if (wholeBlocks && keep[i] && !before[i]) elements[i] = smallest(dtype);
    else keep[i]! &= before[i]!;
    if (!keep[i]) elements[i] = 0;
  }
  return pack(dtype, elements, rows, cols, { keep });
}
