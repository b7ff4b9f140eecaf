/** Everything that a run has before its first step: model, data, what trains, and what identifies the run. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { explain } from '../core/errors.ts';
import { loadDataset } from '../io/datasets.ts';
import { tokenizeRows } from '../io/tokenizeRows.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { loadGrids } from '../io/grid.ts';
import { loadModel, saveModel } from '../io/model.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import { windows } from '../models/batch.ts';
import { gridsFingerprint, gridsOf, shapesOf } from '../models/grids.ts';
import type { Training } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import { modelFingerprint, patternFingerprint } from '../models/model.ts';
import { pruneModel } from '../prune/prune.ts';
import type { Grid } from '../quant/grid.ts';
import { GROUP_SIZE } from '../quant/grid.ts';
import { Arena } from '../runtime/arena.ts';
import type { Sessions } from '../runtime/session.ts';
import type { TrainEvent } from './events.ts';
import type { Host } from './host.ts';
import { loadModelInto } from './weights.ts';
import { gradientFactors } from '../train/gradientInit.ts';
import { initialFactors } from '../train/initial.ts';
import { pruneRule } from './pruningOptions.ts';
import { elasticOf } from './sqftOptions.ts';
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
    loadModelInto(directory, arena, {
      place: settings.weights,
      packedFor: host.flavour,
      memoryBytes: settings.memory,
      directory: settings.out,
    });
  const source = pruneBy ? loadModel(settings.model, undefined, host.flavour) : load(settings.model);
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

  const elastic = elasticOf(settings, rank);
  if (settings.nlsSearch === 'hill-climbing' && valid.length === 0)
    throw new RangeError('--nls-search hill-climbing: expected a valid split in --data to look for ranks on, got none.');

  const pruned = join(settings.out, 'pruned');
  let model = source;
  let base = settings.model;
  if (pruneBy) {
    if (settings.resume === undefined || !existsSync(join(pruned, 'config.json'))) {
      const calibration = sampleWindows(trainWindows, settings.calibrationSamples, settings.seed);
      const onBlock = (layer: number, layers: number): void => tell({ event: 'prune', layer: layer + 1, layers });
      const result = await pruneModel(source, { ...pruneBy, calibration, sessions: host.sessions(), packedFor: host.flavour, onBlock });
      saveModel(result, pruned, { copyFrom: settings.model, existing: 'allow' });
    }
    model = load(pruned);
    base = pruned;
  }

  const fingerprint = patternFingerprint(model);
  const grids = settings.quantize && factors ? gridsFor(model, base, factors.keys(), settings.groupSize) : undefined;
  const groupSize = grids && [...grids.values()][0]?.size;
  const onGrids = factors && grids ? new Map([...factors].map(([name, module]) => [name, { ...module, grid: grids.get(name) }])) : factors;
  return {
    model,
    arena,
    base,
    train: trainWindows,
    valid: windows(valid, maxSeqLength),
    droppedRows: train.dropped,
    training: trainingOfSettings(settings, onGrids, elastic?.sharing),
    adapter:
      method === 'full'
        ? undefined
        : { method, rank, alpha, rslora, targetModules, baseModel: base, patternFingerprint: fingerprint, groupSize, nls: elastic },
    identity: identityOf(settings, trainWindows, {
      kernels: host.flavour,
      model: modelFingerprint(model, fingerprint),
      grids: grids && gridsFingerprint(grids),
    }),
  };
}

/** The grids of projections: the base's own, and new ones where it has none. Throws RangeError where its groups have another size. */
function gridsFor(model: LlamaModel, base: string, names: Iterable<string>, size: number | undefined): ReadonlyMap<string, Grid> {
  const all = [...names];
  const own = loadGrids(base, shapesOf(model));
  const has = [...own.values()][0]?.size;
  if (size !== undefined && has !== undefined && size !== has) {
    throw new RangeError(explain('--group-size', `${has}, that of ${base}`, `${size}`));
  }
  const others = all.filter((name) => !own.has(name));
  return new Map([...own, ...gridsOf(model, others, size ?? has ?? GROUP_SIZE)]);
}

/**
 * What trains, as it starts: with `--init gradient`, factors from the gradient over a sample of the training data. A run that goes
 * on has its factors in the checkpoint already, and needs no more than their shapes.
 */
export async function initialized(
  settings: FinetuneSettings,
  { model, train, training }: Prepared,
  sessions: Sessions,
  tell: (event: TrainEvent) => void,
): Promise<Training> {
  if (settings.init === 'kaiming' || settings.resume !== undefined || !('factors' in training)) return training;
  const { initSamples, initPasses: passes, initGamma: gamma, seed, maxSeqLength, batchSize, recompute } = settings;
  const samples = sampleWindows(train, initSamples, seed);
  const began = performance.now();
  const onPass = (pass: number): void =>
    tell({ event: 'init', pass, passes, samples: samples.length, seconds: (performance.now() - began) / 1000 });
  const given = { samples, passes, gamma, seed, recompute, batchTokens: maxSeqLength * batchSize, sessions, onPass };
  return { ...training, factors: await gradientFactors(model, training.factors, given) };
}
