/** Perplexity of a model directory, with an adapter or without: the job of `lors eval`. */
import { tmpdir } from 'node:os';
import { FormatError, explain } from '../core/errors.ts';
import type { Given } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { loadAdapter } from '../io/adapter.ts';
import { loadDataset } from '../io/datasets.ts';
import { tokenizeRows } from '../io/tokenizeRows.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import type { Flavour } from '../core/flavour.ts';
import { checkAdapter, trainingOf } from '../models/adapter.ts';
import type { Evaluation } from '../train/evaluate.ts';
import { evaluateModel } from '../train/evaluate.ts';
import { Arena } from '../runtime/arena.ts';
import { EVALUATE_OPTIONS } from './evaluateOptions.ts';
import { openHost } from './host.ts';
import { loadModelInto } from './weights.ts';

/** Evaluates. Documents are cut to the model's positions where those are fewer. Throws as loading does. */
export async function evaluate(
  options: Given<typeof EVALUATE_OPTIONS>,
  onBatch?: (done: number, all: number) => void,
): Promise<Evaluation & { readonly kernels: Flavour; readonly threads: number }> {
  const settings = resolveOptions(EVALUATE_OPTIONS, options);
  const { flavour, threads, sessions } = openHost(settings);
  const arena = new Arena(true);
  const model = loadModelInto(settings.model, arena, { place: settings.weights, packedFor: flavour, directory: tmpdir() });
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
