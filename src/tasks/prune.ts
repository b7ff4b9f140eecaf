/** Pruning from directory to directory: the job of `lors prune`. */
import type { Given, OptionTable, Resolved } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { createOutputDirectory } from '../io/atomic.ts';
import { loadDataset } from '../io/datasets.ts';
import { tokenizeRows } from '../io/tokenizeRows.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { loadModel, saveModel } from '../io/model.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import type { Sequence } from '../models/batch.ts';
import { windows } from '../models/batch.ts';
import type { LlamaModel } from '../models/model.ts';
import { pruneModel } from '../prune/prune.ts';
import { needsCalibration } from '../prune/rule.ts';
import { PRUNERS } from '../prune/rule.ts';
import { COMMON } from './commonOptions.ts';
import type { PruneEvent } from './events.ts';
import { openHost } from './host.ts';
import { sampleWindows } from './training.ts';
import { PRUNING, pruneRule } from './pruningOptions.ts';

export const PRUNE_OPTIONS = {
  model: COMMON.model,
  out: { kind: 'text', required: true, help: 'directory for the pruned model' },
  method: { kind: PRUNERS, default: 'wanda', help: 'which weights go; sparsegpt also moves those that stay' },
  sparsity: { kind: 'text', default: '2:4', help: 'kept:group such as 2:4, a share such as 0.5 or 50%, or that of blocks: 4x1:70%' },
  ...PRUNING,
  data: { kind: 'text', help: 'calibration text, which magnitude does not need: .txt, .jsonl or a directory' },
  calibrationSamples: { kind: 'whole', default: 128, least: 1, help: 'windows of the data to calibrate on' },
  maxSeqLength: { kind: 'whole', least: 2, help: "tokens of a window; the model's positions, at most 2048, when not given" },
  separator: COMMON.separator,
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the choice of windows' },
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  overwrite: COMMON.overwrite,
} as const satisfies OptionTable;

/** Longest calibration window when none is asked for: the convention of the pruners' authors. */
const CALIBRATION_LENGTH = 2048;

/** Prunes a model and saves it, its tokenizer beside it. Returns the pruned model. Throws as loading and pruning do. */
export async function prune(
  options: Given<typeof PRUNE_OPTIONS>,
  onEvent: (event: PruneEvent) => void = () => undefined,
): Promise<LlamaModel> {
  const settings = resolveOptions(PRUNE_OPTIONS, options);
  const { sessions, flavour } = openHost(settings);
  const rule = pruneRule(settings.method, settings.sparsity, settings);
  const takeBack = createOutputDirectory(settings.out, settings.overwrite ? 'allow' : 'refuse');
  try {
    const model = loadModel(settings.model, undefined, flavour);
    const calibration = needsCalibration(rule) ? calibrationOf(settings, model) : [];
    const onBlock = (layer: number, layers: number): void => onEvent({ event: 'prune', layer: layer + 1, layers });
    const pruned = await pruneModel(model, { ...rule, calibration, sessions: sessions(), packedFor: flavour, onBlock });
    saveModel(pruned, settings.out, { copyFrom: settings.model, existing: 'allow' });
    return pruned;
  } finally {
    takeBack();
  }
}

/** Windows of the data to calibrate on. Throws RangeError where no data are given. */
function calibrationOf(settings: Resolved<typeof PRUNE_OPTIONS>, model: LlamaModel): Sequence[] {
  const { method, allocation, data, separator, maxSeqLength, calibrationSamples, seed } = settings;
  if (data === undefined) {
    const what = allocation === 'owl' ? '--allocation owl' : method;
    throw new RangeError(`--data: expected calibration text for ${what}, got none. Magnitude pruning alone needs none.`);
  }
  const tokenizer = loadTokenizer(settings.model);
  checkTokenizer(model, tokenizer);
  const { documents } = tokenizeRows(loadDataset(data, separator).train, tokenizer, { maskPrompt: false });
  const length = Math.min(maxSeqLength ?? CALIBRATION_LENGTH, model.config.maxPositions);
  return sampleWindows(windows(documents, length), calibrationSamples, seed);
}
