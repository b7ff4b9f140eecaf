/** A Llama small enough for the oracles, with everything that a real one has: two blocks, grouped heads, pruned weights. */
import { Random } from '../../src/core/random.ts';
import type { FactorTensors } from '../../src/adapters/factors.ts';
import { upColumns } from '../../src/adapters/factors.ts';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { ruleOf } from '../../src/adapters/methods.ts';
import type { AdapterGradient } from '../../src/adapters/lors.ts';
import type { MergeRule } from '../../src/adapters/rule.ts';
import type { WeightDtype } from '../../src/core/dtypes.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { writeBatch } from '../../src/models/batch.ts';
import { parseConfig } from '../../src/models/config.ts';
import type { LlamaConfig } from '../../src/models/config.ts';
import { castModel, withValues } from '../../src/models/fuse.ts';
import { initializeModel } from '../../src/models/init.ts';
import type { AdapterTraining, CompiledLlama } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import type { Counts } from '../../src/program/program.ts';
import type { Session } from '../../src/runtime/session.ts';
import { pack, packDense } from '../../src/sparse/pack.ts';
import type { PackedWeight } from '../../src/sparse/weight.ts';
import type { BlockName } from '../../src/sparse/block.ts';
import { isBlockName } from '../../src/sparse/block.ts';
import { MASKS, blockMask, gaussians, masked } from '../kernels/data.ts';

/** Sizes that share no factor with a tile or, but for 2:4, a group. The vocabulary does not fill its last panel. */
export function tinyConfig(tied = false, vocabulary = 13): LlamaConfig {
  const json = {
    model_type: 'llama',
    hidden_size: 12,
    intermediate_size: 20,
    num_hidden_layers: 2,
    num_attention_heads: 6,
    num_key_value_heads: 2,
    head_dim: 2,
    vocab_size: vocabulary,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: tied,
  };
  return parseConfig(json, 'tiny');
}

/** Random weights of a size at which every part of the model matters. */
export function tinyModel(
  mask: keyof typeof MASKS | BlockName = '2:4',
  options: { tied?: boolean; dtype?: WeightDtype; vocabulary?: number } = {},
): LlamaModel {
  const model = initializeModel(tinyConfig(options.tied, options.vocabulary), 1);
  const random = new Random(2);
  const inBlocks = isBlockName(mask) && ({ format: 'block', block: mask } as const);
  const linears = new Map<string, PackedWeight>();
  for (const [name, { rows, cols }] of model.linears) {
    const keep = isBlockName(mask) ? blockMask(random, rows, cols, mask, 0.6) : MASKS[mask](random, rows, cols);
    linears.set(name, pack('F32', masked(gaussians(random, rows * cols, 0.5), keep), rows, cols, { keep, ...inBlocks }));
  }
  const gains = new Map(
    [...model.gains].map(([name, gain]) => [name, { ...gain, values: gaussians(random, gain.values.length, 0.3).map((g) => g + 1) }]),
  );
  const table = (): typeof model.embedding => {
    const { vocabSize, hiddenSize } = model.config;
    return packDense('F32', gaussians(random, vocabSize * hiddenSize), vocabSize, hiddenSize);
  };
  const filled = withValues(model, { linears, gains, embedding: table(), head: model.head && table() });
  return options.dtype ? castModel(filled, options.dtype) : filled;
}

/** Adapters on every projection, with both factors away from zero; their rank is padded, and divides every layer's outputs. */
export function tinyAdapters(
  model: LlamaModel,
  method: AdapterMethod,
  gradient?: AdapterGradient,
  merge: MergeRule = 'recompute',
): AdapterTraining {
  const random = new Random(3);
  const rank = 2;
  const columns = upColumns(ruleOf(method).upShape, rank);
  const factors = new Map<string, FactorTensors>();
  for (const [name, { rows, cols }] of model.linears) {
    factors.set(name, { rank, up: gaussians(random, rows * columns, 0.3), down: gaussians(random, rank * cols, 0.3) });
  }
  return { method, gradient, merge, scaling: 0.5, factors };
}

/** Documents that end inside a tile, one of them with a prompt that is no target; 41 tokens, and padding in the last tile. */
export function tinyBatch(vocabulary: number): Sequence[] {
  const random = new Random(4);
  return [11, 24, 2, 8].map((length, i) => {
    const ids = Int32Array.from({ length }, () => random.below(vocabulary));
    return i === 1 ? { ids, targets: Uint8Array.from({ length }, (_, t) => (t < 9 ? 0 : 1)) } : { ids };
  });
}

export const TINY_TILES = 4;
export const TINY_OPTIONS = { tiles: TINY_TILES, positions: 64 } as const;

/** Writes the tiny batch, with the mean loss over labelled tokens as the objective. */
export function writeTinyBatch(session: Session, compiled: CompiledLlama, model: LlamaModel): Counts {
  const counts = writeBatch(session, compiled.inputs, tinyBatch(model.config.vocabSize), model.config.vocabSize);
  if (session.has(compiled.inputs.lossScale)) session.floats(compiled.inputs.lossScale)[0] = 1 / counts.labelled;
  return counts;
}
