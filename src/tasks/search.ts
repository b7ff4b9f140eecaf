/** The ranks of a sub-adapter, looked for in a trained super-adapter: the job of `lors search`. */
import { tmpdir } from 'node:os';
import type { Given, OptionTable } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { FormatError, explain } from '../core/errors.ts';
import { loadAdapter, saveAdapter } from '../io/adapter.ts';
import { createOutputDirectory } from '../io/atomic.ts';
import { loadDataset } from '../io/datasets.ts';
import { tokenizeRows } from '../io/tokenizeRows.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import { checkAdapter, trainingOf } from '../models/adapter.ts';
import { Arena } from '../runtime/arena.ts';
import type { Evaluation } from '../train/evaluate.ts';
import { Evaluator } from '../train/evaluate.ts';
import type { ClimbTurn } from '../train/nls.ts';
import { COMMON } from './commonOptions.ts';
import { ElasticRun } from './elastic.ts';
import { openHost } from './host.ts';
import { SEARCHING } from './sqftOptions.ts';
import { loadModelInto } from './weights.ts';

export const SEARCH_OPTIONS = {
  model: COMMON.model,
  adapter: { kind: 'text', required: true, help: 'super-adapter: super/ or checkpoint-N/ of a fine-tuning with --nls-ranks' },
  data: { kind: 'text', required: true, help: '.txt or .jsonl file, or a directory (its valid split, else train)' },
  out: { kind: 'text', required: true, help: 'directory for the sub-adapter' },
  ...SEARCHING,
  nlsSearch: { ...SEARCHING.nlsSearch, default: 'hill-climbing' },
  maxSeqLength: { kind: 'whole', default: 512, least: 2, help: 'tokens of a window; longer documents are cut' },
  maskPrompt: { kind: 'flag', default: false, help: 'count completions and answers only' },
  separator: COMMON.separator,
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the order in which neighbours are tried' },
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
  overwrite: COMMON.overwrite,
} as const satisfies OptionTable;

/** Searches, and saves the sub-adapter that is best on the data. Returns its evaluation there. Throws as loading does. */
export async function search(
  options: Given<typeof SEARCH_OPTIONS>,
  onTurn: (turn: ClimbTurn) => void = () => undefined,
): Promise<Evaluation> {
  const settings = resolveOptions(SEARCH_OPTIONS, options);
  const adapter = loadAdapter(settings.adapter);
  const { nls, rank } = adapter.config;
  if (!nls || [...adapter.modules.values()].some((module) => module.rank !== rank)) {
    const got = nls ? 'a sub-adapter' : 'an adapter of one rank';
    throw new FormatError(explain(settings.adapter, 'a super-adapter, from --nls-ranks', got, 'That is in super/ of its run.'));
  }
  const { sessions, flavour } = openHost(settings);
  const arena = new Arena(true);
  const model = loadModelInto(settings.model, arena, { place: settings.weights, packedFor: flavour, directory: tmpdir() });
  const tokenizer = loadTokenizer(settings.model);
  checkTokenizer(model, tokenizer);
  checkAdapter(model, adapter);
  const { valid, train } = loadDataset(settings.data, settings.separator);
  const { documents } = tokenizeRows(valid ?? train, tokenizer, { maskPrompt: settings.maskPrompt });
  const takeBack = createOutputDirectory(settings.out, settings.overwrite ? 'allow' : 'refuse');
  // What a callback reads is not narrowed where it can be assigned to, so it has a name of its own below.
  let started: Evaluator | undefined;
  try {
    const evaluator = new Evaluator(model, documents, {
      maxSeqLength: Math.min(settings.maxSeqLength, model.config.maxPositions),
      sessions: sessions(arena),
      training: { ...trainingOf(adapter), elastic: nls.sharing },
    });
    started = evaluator;
    const run = new ElasticRun(evaluator, nls, evaluator.compiled.gates.keys(), settings.seed);
    await run.search(settings, async () => (await evaluator.run()).loss, onTurn);
    run.useKept();
    const evaluation = await evaluator.run();
    saveAdapter(settings.out, { config: adapter.config, modules: run.subAdapter(adapter.modules) });
    return evaluation;
  } finally {
    await started?.close();
    takeBack();
  }
}
