/** What is done to models in memory besides training: evaluating, generating, merging and pruning. */
import type { Adapter, AdapterConfig } from '../adapters/adapter.ts';
import { ruleOf } from '../adapters/methods.ts';
import type { WeightDtype } from '../core/dtypes.ts';
import type { Given } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import type { Tokenizer } from '../io/tokenizerFormat.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { checkAdapter, fuseAdapter, trainingOf } from '../models/adapter.ts';
import type { Sequence } from '../models/batch.ts';
import type { LlamaModel } from '../models/model.ts';
import type { PruneRule } from '../prune/rule.ts';
import { packedBytes } from '../sparse/weight.ts';
import type { Evaluation } from '../train/evaluate.ts';
import type { DataSource } from './data.ts';
import { readDocuments } from './data.ts';
import type { HostOptions } from './host.ts';
import { Host } from './host.ts';
import type { MemoryParts } from './memory.ts';
import { EDGE_EVALUATE_OPTIONS, EDGE_GENERATE_OPTIONS } from './options.ts';

/** A model in memory, and where it runs. */
export interface ModelOnHost extends HostOptions {
  readonly model: LlamaModel;
  readonly adapter?: Adapter | undefined;
}

export interface EvaluateInput extends ModelOnHost {
  readonly tokenizer: Tokenizer;
  readonly data: DataSource;
  readonly options?: Given<typeof EDGE_EVALUATE_OPTIONS>;
}

/** Perplexity of a model on data, its adapter running beside it. Throws as loading does, and MemoryBudgetError. */
export async function evaluate(input: EvaluateInput): Promise<Evaluation> {
  const { model, tokenizer, adapter, data } = input;
  const settings = resolveOptions(EDGE_EVALUATE_OPTIONS, input.options ?? {});
  const host = await Host.open(input);
  checkTokenizer(model, tokenizer);
  if (adapter) checkAdapter(model, adapter);
  const { documents } = await readDocuments(data, 'data', tokenizer, settings);
  const { evaluateModel } = await import('../train/evaluate.ts');
  return evaluateModel(model, documents, {
    maxSeqLength: Math.min(settings.maxSeqLength, model.config.maxPositions),
    sessions: host.sessions('evaluating', model),
    ...(adapter && { training: trainingOf(adapter) }),
  });
}

export interface GenerateInput extends ModelOnHost {
  readonly tokenizer: Tokenizer;
  readonly options: Given<typeof EDGE_GENERATE_OPTIONS>;
}

/** Yields the new text piece by piece, without the prompt. An adapter is merged first, in f32. Throws as `evaluate`. */
export async function* generate(input: GenerateInput): AsyncGenerator<string, void, void> {
  const { model, tokenizer, adapter } = input;
  const settings = resolveOptions(EDGE_GENERATE_OPTIONS, input.options);
  const host = await Host.open(input);
  checkTokenizer(model, tokenizer);
  const sessions = host.sessions('generating', model, adapter && mergedParts(model, adapter.config, adapter.modules.keys()));
  const merged = adapter ? fuseAdapter(model, adapter, host.kernels.module, 'F32', host.memory) : model;
  const { generateText } = await import('../generate/text.ts');
  yield* generateText(merged, tokenizer, { ...settings, sessions });
}

export interface FuseInput extends ModelOnHost {
  readonly adapter: Adapter;
  /** Element type of the merged weights; each keeps its own, and rounds to it, when absent. */
  readonly dtype?: WeightDtype | undefined;
}

/** The model with its adapter merged; zeros stay zero. Throws FormatError where the adapter is another model's. */
export async function fuse(input: FuseInput): Promise<LlamaModel> {
  const { model, adapter, dtype } = input;
  const host = await Host.open(input);
  host.sessions('merging', model, mergedParts(model, adapter.config, adapter.modules.keys()));
  return fuseAdapter(model, adapter, host.kernels.module, dtype, host.memory);
}

/** What merged weights take, in f32; dense, where the method fills the zeros. */
export function mergedParts(model: LlamaModel, { method }: AdapterConfig, names: Iterable<string>): MemoryParts {
  let bytes = 0;
  for (const name of names) {
    const weight = model.linears.get(name);
    if (weight)
      bytes += !ruleOf(method).keepsZeros
        ? weight.rows * weight.cols * 4
        : packedBytes(weight) - weight.values.byteLength + weight.kept * 4;
  }
  return { 'merged weights': bytes };
}

export interface PruneInput extends HostOptions {
  readonly model: LlamaModel;
  readonly rule: PruneRule;
  /** Windows of calibration text, which magnitude does not need. */
  readonly calibration?: readonly Sequence[];
  /** Called when a block is done. */
  readonly onBlock?: ((layer: number, layers: number) => void) | undefined;
}

/** The model with its least important weights set to zero. Throws RangeError as pruneModel, and MemoryBudgetError. */
export async function prune(input: PruneInput): Promise<LlamaModel> {
  const { model, rule, calibration = [], onBlock } = input;
  const host = await Host.open(input);
  return prunedOn(host, model, rule, calibration, onBlock);
}

/** Prunes with what a host has left beside a second model. The pruners are loaded then: most runs start from a pruned model. */
export async function prunedOn(
  host: Host,
  model: LlamaModel,
  rule: PruneRule,
  calibration: readonly Sequence[],
  onBlock: PruneInput['onBlock'],
): Promise<LlamaModel> {
  const second = [...model.linears.values()].reduce((n, weight) => n + packedBytes(weight), 0);
  const sessions = host.sessions('pruning', model, { 'pruned weights': second });
  const { pruneModel } = await import('../prune/prune.ts');
  return pruneModel(model, { ...rule, calibration, sessions, packedFor: host.kernels.flavour, ...(onBlock && { onBlock }) });
}
