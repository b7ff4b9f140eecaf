/** Models from and to directories. */
import { basename, join, resolve } from 'node:path';
import type { WeightDtype } from '../core/dtypes.ts';
import type { PackedFor } from '../core/flavour.ts';
import { probeFlavour } from '../kernels/load.ts';
import { parseConfig } from '../models/config.ts';
import { castModel, configOf } from '../models/fuse.ts';
import type { LlamaModel, WeightHome } from '../models/model.ts';
import { modelTensors, readModel } from '../models/model.ts';
import { createOutputDirectory } from './atomic.ts';
import { openCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { readJson } from './json.ts';

/**
 * Loads a Hugging Face Llama directory; the zeros of its weights are their mask. Weights go where `home` puts them, one at a
 * time, so that no two copies of the model exist, in formats for the kernels that `packedFor` says. Throws FormatError or
 * UnsupportedError.
 */
export function loadModel(directory: string, home?: WeightHome, packedFor: PackedFor = probeFlavour()): LlamaModel {
  const source = openCheckpoint(directory);
  const config = parseConfig(readJson(join(directory, 'config.json')), join(basename(resolve(directory)), 'config.json'));
  return readModel(source, config, home, packedFor);
}

export interface SaveModelOptions {
  /** Element type of all tensors; each keeps its own when absent. */
  readonly dtype?: WeightDtype | undefined;
  /** A model directory whose tokenizer files are copied along. */
  readonly copyFrom?: string | undefined;
  /** What happens where the directory holds files already. */
  readonly existing?: 'refuse' | 'allow';
  readonly shardBytes?: number;
}

/** Writes a model as a Hugging Face directory: dense tensors with exact zeros. Throws OutputError. */
export function saveModel(model: LlamaModel, directory: string, options: SaveModelOptions = {}): void {
  const { dtype, copyFrom, existing = 'refuse', shardBytes } = options;
  const takeBack = createOutputDirectory(directory, existing);
  try {
    const saved = dtype ? castModel(model, dtype) : model;
    saveCheckpoint(directory, {
      config: configOf(model, dtype),
      tensors: modelTensors(saved),
      copyFrom,
      ...(shardBytes !== undefined && { shardBytes }),
    });
  } finally {
    takeBack();
  }
}
