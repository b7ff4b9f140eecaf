/** Everything that a run has before its first step: model, data, what trains, and what identifies the run. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadDataset } from '../io/datasets.ts';
import { tokenizeRows } from '../io/tokenizeRows.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { loadModel, saveModel } from '../io/model.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import { windows } from '../models/batch.ts';
import type { LlamaModel } from '../models/model.ts';
import { patternFingerprint } from '../models/model.ts';
import { pruneModel } from '../prune/prune.ts';
import { Arena } from '../runtime/arena.ts';
import type { TrainEvent } from './events.ts';
import type { Host } from './host.ts';
import { loadModelInto } from './weights.ts';
import { initialFactors } from '../train/initial.ts';
import { pruneRule } from './pruningOptions.ts';
import type { FinetuneSettings, RunParts } from './training.ts';
import { identityOf, sampleWindows, trainingOfSettings } from './training.ts';

export interface Prepared extends RunParts {
  /** What the model's weights stand in. */
  readonly arena: Arena;
  /** The directory that the model can be loaded from again. */
  readonly base: string;
}

/** Loads, prunes and tokenizes. Throws what loading and pruning throw, before anything is trained. */
export async function prepare(settings: FinetuneSettings, host: Host, tell: (event: TrainEvent) => void): Promise<Prepared> {
  const { maxSeqLength, maskPrompt, separator } = settings;
  const pruneBy = settings.prune && pruneRule(settings.prune, settings.sparsity, settings);
  const arena = new Arena(true);
  const load = (directory: string): LlamaModel =>
    loadModelInto(directory, arena, { place: settings.weights, memoryBytes: settings.memory, directory: settings.out });
  const source = pruneBy ? loadModel(settings.model) : load(settings.model);
  const tokenizer = loadTokenizer(settings.model);
  checkTokenizer(source, tokenizer);
  if (maxSeqLength > source.config.maxPositions) {
    throw new RangeError(`--max-seq-length: expected at most the model's ${source.config.maxPositions} positions, got ${maxSeqLength}.`);
  }
  const dataset = loadDataset(settings.data, separator);
  const train = tokenizeRows(dataset.train, tokenizer, { maskPrompt });
  const valid = dataset.valid ? tokenizeRows(dataset.valid, tokenizer, { maskPrompt }).documents : [];
  const trainWindows = windows(train.documents, maxSeqLength);

  const { method, rank, alpha, rslora, targetModules, seed } = settings;
  // Before pruning, which takes its time: a rank that does not fit is refused at once.
  const factors = method === 'full' ? undefined : initialFactors(source, targetModules, rank, seed, method);

  const pruned = join(settings.out, 'pruned');
  let model = source;
  let base = settings.model;
  if (pruneBy) {
    if (settings.resume === undefined || !existsSync(join(pruned, 'config.json'))) {
      const calibration = sampleWindows(trainWindows, settings.calibrationSamples, settings.seed);
      const onBlock = (layer: number, layers: number): void => tell({ event: 'prune', layer: layer + 1, layers });
      const result = await pruneModel(source, { ...pruneBy, calibration, sessions: host.sessions(), onBlock });
      saveModel(result, pruned, { copyFrom: settings.model, existing: 'allow' });
    }
    model = load(pruned);
    base = pruned;
  }

  const fingerprint = patternFingerprint(model);
  return {
    model,
    arena,
    base,
    train: trainWindows,
    valid: windows(valid, maxSeqLength),
    droppedRows: train.dropped,
    training: trainingOfSettings(settings, factors),
    adapter:
      method === 'full' ? undefined : { method, rank, alpha, rslora, targetModules, baseModel: base, patternFingerprint: fingerprint },
    identity: identityOf(settings, trainWindows, { kernels: host.flavour, masks: fingerprint }),
  };
}
