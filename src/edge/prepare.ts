/** What a run is made of, from what the caller hands over. */
import { flagOf, resolveOptions } from '../core/options.ts';
import type { Tokenizer } from '../io/tokenizerFormat.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { windows } from '../models/batch.ts';
import type { LlamaModel } from '../models/model.ts';
import { modelFingerprint, patternFingerprint } from '../models/model.ts';
import { pruneRule } from '../tasks/pruningOptions.ts';
import type { RunParts } from '../tasks/training.ts';
import { checkTogether, identityOf, sampleWindows, trainingOfSettings } from '../tasks/training.ts';
import { initialFactors } from '../train/initial.ts';
import type { BytesSource } from './bytes.ts';
import type { DataSource } from './data.ts';
import { readDocuments } from './data.ts';
import type { HostOptions } from './host.ts';
import { Host } from './host.ts';
import type { ModelFiles } from './model.ts';
import { loadModel } from './model.ts';
import type { EdgeOptions, EdgeSettings } from './options.ts';
import { EDGE_OPTIONS } from './options.ts';
import { prunedOn } from './tasks.ts';
import type { TokenizerFiles } from './tokenizer.ts';
import { loadTokenizer } from './tokenizer.ts';

export interface TrainerInput extends HostOptions {
  /** The files of a model, or one that was loaded before and that others may use too. */
  readonly model: ModelFiles | LlamaModel;
  readonly tokenizer: TokenizerFiles | Tokenizer;
  /** What to learn. */
  readonly data: DataSource;
  /** What to measure by; absent for nothing. */
  readonly valid?: DataSource | undefined;
  readonly options?: EdgeOptions;
  /** Where to go on: what `state()` of such a run gave. */
  readonly state?: BytesSource | undefined;
  /** With `options.prune`: called when a block is pruned. */
  readonly onPruned?: ((layer: number, layers: number) => void) | undefined;
}

export interface Prepared extends RunParts {
  readonly host: Host;
  readonly settings: EdgeSettings;
  readonly tokenizer: Tokenizer;
}

/** Loads, tokenizes and prunes. Throws what these throw. */
export async function prepare(input: TrainerInput): Promise<Prepared> {
  const settings = resolveOptions(EDGE_OPTIONS, input.options ?? {});
  checkTogether(settings, input.options ?? {});
  const { maxSeqLength, seed, method, rank, alpha, rslora, targetModules } = settings;
  const pruneBy = settings.prune && pruneRule(settings.prune, settings.sparsity, settings);
  const host = await Host.open(input);
  const source = 'linears' in input.model ? input.model : await loadModel(input.model, { ...input, kernels: host.kernels.flavour });
  const tokenizer = 'encode' in input.tokenizer ? input.tokenizer : await loadTokenizer(input.tokenizer);
  checkTokenizer(source, tokenizer);
  if (maxSeqLength > source.config.maxPositions) {
    throw new RangeError(
      `${flagOf('maxSeqLength')}: expected at most the model's ${source.config.maxPositions} positions, got ${maxSeqLength}.`,
    );
  }
  const { documents, dropped } = await readDocuments(input.data, 'data', tokenizer, settings);
  const train = windows(documents, maxSeqLength);
  const valid = input.valid ? windows((await readDocuments(input.valid, 'valid', tokenizer, settings)).documents, maxSeqLength) : [];
  // Before pruning, which takes its time: a rank that does not fit is refused at once.
  const factors = method === 'full' ? undefined : initialFactors(source, targetModules, rank, seed, method);
  const calibration = sampleWindows(train, settings.calibrationSamples, seed);
  const model = pruneBy ? await prunedOn(host, source, pruneBy, calibration, input.onPruned) : source;
  const masks = patternFingerprint(model);
  const { arithmetic } = host.kernels;
  return {
    host,
    settings,
    model,
    tokenizer,
    train,
    valid,
    droppedRows: dropped,
    training: trainingOfSettings(settings, factors),
    adapter:
      method === 'full' ? undefined : { method, rank, alpha, rslora, targetModules, baseModel: model.name, patternFingerprint: masks },
    identity: identityOf(settings, train, { kernels: arithmetic, model: modelFingerprint(model, masks) }),
  };
}
