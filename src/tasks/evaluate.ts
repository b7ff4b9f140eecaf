/** Perplexity of a model directory, with an adapter or without: the job of `lors eval`. */
import { tmpdir } from 'node:os';
import { FormatError, explain } from '../core/errors.ts';
import type { Given, OptionTable } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { loadAdapter } from '../io/adapter.ts';
import { loadDataset, tokenizeRows } from '../io/datasets.ts';
import { checkTokenizer } from '../io/model.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import type { Flavour } from '../kernels/table.ts';
import { checkAdapter, trainingOf } from '../models/adapter.ts';
import type { Evaluation } from '../train/evaluate.ts';
import { evaluateModel } from '../train/evaluate.ts';
import { Arena } from '../runtime/arena.ts';
import { COMMON } from './commonOptions.ts';
import { openHost } from './host.ts';
import { loadModelInto } from './weights.ts';

export const EVALUATE_OPTIONS = {
  model: COMMON.model,
  data: { kind: 'text', required: true, help: '.txt or .jsonl file, or a directory (its test split, else valid, else train)' },
  adapter: { kind: 'text', help: 'adapter directory' },
  split: { kind: ['auto', 'train', 'valid', 'test'], default: 'auto', help: 'of a data directory; auto is test, else valid, else train' },
  maxSeqLength: { kind: 'whole', default: 512, least: 2, help: 'tokens of a window; longer documents are cut' },
  maskPrompt: { kind: 'flag', default: false, help: 'count completions and answers only' },
  separator: COMMON.separator,
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
} as const satisfies OptionTable;

/** Evaluates. Documents are cut to the model's positions where those are fewer. Throws as loading does. */
export async function evaluate(
  options: Given<typeof EVALUATE_OPTIONS>,
  onBatch?: (done: number, all: number) => void,
): Promise<Evaluation & { readonly kernels: Flavour; readonly threads: number }> {
  const settings = resolveOptions(EVALUATE_OPTIONS, options);
  const { flavour, threads, sessions } = openHost(settings);
  const arena = new Arena(true);
  const model = loadModelInto(settings.model, arena, { place: settings.weights, directory: tmpdir() });
  const tokenizer = loadTokenizer(settings.model);
  checkTokenizer(model, tokenizer);
  const adapter = settings.adapter === undefined ? undefined : loadAdapter(settings.adapter);
  if (adapter) checkAdapter(model, adapter);
  const dataset = loadDataset(settings.data, settings.separator);
  const rows = settings.split === 'auto' ? (dataset.test ?? dataset.valid ?? dataset.train) : dataset[settings.split];
  if (!rows) throw new FormatError(explain(`data ${settings.data}`, `a ${settings.split} split`, 'none'));
  const { documents } = tokenizeRows(rows, tokenizer, { maskPrompt: settings.maskPrompt });
  const evaluation = await evaluateModel(model, documents, {
    maxSeqLength: Math.min(settings.maxSeqLength, model.config.maxPositions),
    sessions: sessions(arena),
    ...(adapter && { training: trainingOf(adapter) }),
    ...(onBatch && { onBatch }),
  });
  return { ...evaluation, kernels: flavour, threads };
}
