/** Prunes a model's projections block by block; each block's inputs come through the already pruned ones before it. */
import { decodeWeights, encodeWeights } from '../core/dtypes.ts';
import type { Sequence } from '../models/batch.ts';
import { smallest, withValues } from '../models/fuse.ts';
import type { PackedFor } from '../core/flavour.ts';
import type { LlamaModel } from '../models/model.ts';
import { PROJECTIONS, projectionName } from '../models/names.ts';
import type { Sessions } from '../runtime/session.ts';
import { nonZeros } from '../sparse/keepMask.ts';
import { matrixOf, pack, unpack } from '../sparse/pack.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { Calibration } from './calibrate.ts';
import type { OwlOptions } from './owl.ts';
import { outlierRatio, owlSparsities } from './owl.ts';
import { selectPermuted } from './permute.ts';
import type { PruneRule } from './rule.ts';
import { checkRule, needsCalibration } from './rule.ts';
import { scoresOf } from './scores.ts';
import { checkGroups, selectKept } from './select.ts';
import type { InputProducts, InverseHessian } from './sparsegpt.ts';
import { inverseHessian, sparseGpt } from './sparsegpt.ts';
import type { Sparsity } from './sparsity.ts';
import { wandaScores } from './wanda.ts';

export interface PruneOptions extends PruneRule {
  /** Calibration text; magnitude needs none, but for OWL. */
  readonly calibration: readonly Sequence[];
  /** Where calibration runs. */
  readonly sessions: Sessions;
  /** The kernels that the pruned weights are for; as packing has it when absent. */
  readonly packedFor?: PackedFor | undefined;
  /** Called when a block is done. */
  readonly onBlock?: (layer: number, layers: number) => void;
}

/**
 * A model whose projections keep only the weights that score highest; SparseGPT also moves those that it keeps. The embedding, the
 * head and the norms stay. Throws RangeError where an N:M group does not divide a layer's inputs, where the parts of the rule do not
 * go together, or without the calibration text that it needs.
 */
export async function pruneModel(model: LlamaModel, options: PruneOptions): Promise<LlamaModel> {
  const { method, calibration, sparsity, sessions } = options;
  // What cannot be is found before any work is done.
  checkRule(options);
  for (const [name, { cols }] of model.linears) checkGroups(cols, sparsity, name);
  if (needsCalibration(options) && calibration.length === 0) {
    throw new RangeError(`${options.owl ? 'OWL' : method}: expected calibration text, got none.`);
  }
  const { layers } = model.config;
  const sparsities = options.owl ? await sparsitiesOf(model, options, options.owl) : Array.from({ length: layers }, () => sparsity);
  const run = method === 'magnitude' ? undefined : await Calibration.start(model, calibration, sessions);
  let pruned = model;
  for (let layer = 0; layer < layers; layer++) {
    pruned = withValues(pruned, { linears: await pruneBlock(pruned, layer, { ...options, sparsity: sparsities[layer]! }, run) });
    if (layer + 1 < layers) await run?.advance(pruned, layer);
    options.onBlock?.(layer, layers);
  }
  return pruned;
}

/** The sparsity of each block by the outliers among its scores, in the model as it comes. */
async function sparsitiesOf(model: LlamaModel, { sparsity, calibration, sessions }: PruneOptions, owl: OwlOptions): Promise<Sparsity[]> {
  if (sparsity.kind === 'n:m') throw new TypeError('OWL: expected a share.');
  const run = await Calibration.start(model, calibration, sessions);
  const ratios: number[] = [];
  for (let layer = 0; layer < model.config.layers; layer++) {
    const norms = await run.inputNorms(model, layer);
    const scores = function* (): Generator<Float64Array> {
      for (const [name, ofInputs] of norms) yield wandaScores(matrixOf(model.linears.get(name)!), ofInputs);
    };
    ratios.push(outlierRatio(scores, owl.threshold));
    if (layer + 1 < model.config.layers) await run.advance(model, layer);
  }
  return owlSparsities(ratios, sparsity.sparsity, owl.lambda).map((own) => ({ ...sparsity, sparsity: own }));
}

async function pruneBlock(
  model: LlamaModel,
  layer: number,
  rule: PruneRule & Pick<PruneOptions, 'packedFor'>,
  run: Calibration | undefined,
): Promise<Map<string, PackedWeight>> {
  const pruned = new Map<string, PackedWeight>();
  const each = (prune: (name: string, matrix: Matrix) => Pruned): void => {
    for (const projection of PROJECTIONS) {
      const name = projectionName(layer, projection);
      pruned.set(
        name,
        pruneWeight(model.linears.get(name)!, rule, (matrix) => prune(name, matrix)),
      );
    }
  };
  const { method } = rule;
  if (method === 'sparsegpt') {
    const products = await run!.inputProducts(model, layer);
    // Projections with the same inputs follow one another: one inverse at a time is there.
    let last: { of: InputProducts; inverse: InverseHessian } | undefined;
    each((name, { values, rows, cols, allowed }) => {
      const of = products.get(name)!;
      if (last?.of !== of) {
        last = undefined;
        last = { of, inverse: inverseHessian(of, name) };
      }
      return sparseGpt(values, rows, cols, last.inverse, { sparsity: rule.sparsity, allowed });
    });
    return pruned;
  }
  const norms = await run?.inputNorms(model, layer);
  each((name, { values, rows, cols }) => {
    const scores = scoresOf(method, values, norms?.get(name));
    const { sparsity } = rule;
    const permuted = rule.channelPermutation && sparsity.kind === 'n:m';
    return {
      keep: permuted ? selectPermuted(scores, rows, cols, sparsity.keep, sparsity.group) : selectKept(scores, rows, cols, sparsity),
    };
  });
  return pruned;
}

interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
  /** 1 where a weight was not pruned before; absent for a dense matrix. */
  readonly allowed: Uint8Array | undefined;
}

interface Pruned {
  readonly keep: Uint8Array;
  /** The weights that are left, where they have moved. */
  readonly values?: Float32Array;
}

/** From this density on a matrix was not pruned before: its zeros are chance. */
const DENSE = 0.99;

/** What was zero before stays pruned, whatever room its group has; but not the zeros that a dense matrix happens to hold. */
function pruneWeight(
  weight: PackedWeight,
  { sparsity, packedFor }: Pick<PruneOptions, 'sparsity' | 'packedFor'>,
  prune: (matrix: Matrix) => Pruned,
): PackedWeight {
  const { rows, cols, dtype } = weight;
  const before = unpack(weight, weight.values);
  const there = nonZeros(dtype, before);
  const dense = there.reduce((n, b) => n + b, 0) >= there.length * DENSE;
  const { keep, values } = prune({ values: decodeWeights(dtype, before), rows, cols, allowed: dense ? undefined : there });
  const elements = values ? encodeWeights(dtype, values) : before;
  const filled = values ? nonZeros(dtype, elements) : there;
  // A zero means pruned. One that is kept becomes, as in fusing, the smallest number of its type where the mask must hold: it would
  // break the block that it is in, or it is what a moved weight was rounded to.
  const holds = values !== undefined || (dense && sparsity.kind === 'block');
  for (let i = 0; i < keep.length; i++) {
    if (keep[i] && !filled[i]) {
      if (holds) elements[i] = smallest(dtype);
      else keep[i] = 0;
    }
    if (!keep[i]) elements[i] = 0;
  }
  return pack(dtype, elements, rows, cols, { keep, packedFor });
}
