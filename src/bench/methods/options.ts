/** The one table of what `lors compare` can be told. */
import { MERGE_RULES } from '../../adapters/rule.ts';
import type { OptionTable } from '../../core/options.ts';
import { COMMON } from '../../tasks/commonOptions.ts';
import { FINETUNE_METHODS, FINETUNE_OPTIONS } from '../../tasks/finetuneOptions.ts';
import { PRUNE_OPTIONS } from '../../tasks/prune.ts';

/** Options of pruning first, as they are. */
export const OF_PRUNING = ['sparsity', 'channelPermutation', 'allocation', 'owlThreshold', 'owlLambda', 'calibrationSamples'] as const;

/** Options of fine-tuning that all runs are given alike. */
export const OF_RUNS = [
  ...(['iters', 'rank', 'alpha', 'rslora', 'targetModules', 'batchSize', 'gradAccumulationSteps', 'maxSeqLength'] as const),
  ...(['lrSchedule', 'minLearningRate', 'warmup', 'maxGradNorm', 'weightDecay', 'adamBeta1', 'adamBeta2', 'adamEpsilon'] as const),
  ...(['recompute', 'maskPrompt', 'separator', 'seed', 'kernels', 'threads', 'weights'] as const),
] as const;

/** Options of the gradient initialisation, for the methods that can have it. */
export const OF_INIT = ['init', 'initSamples', 'initPasses', 'initGamma'] as const;

export const COMPARE_OPTIONS = {
  model: COMMON.model,
  data: {
    kind: 'text',
    required: true,
    help: 'text; what a directory has as valid, else as test, is held out, and of a single file the last tenth',
  },
  methods: { kind: 'list', default: FINETUNE_METHODS, values: FINETUNE_METHODS, help: `of ${FINETUNE_METHODS.join(', ')}` },
  learningRates: { kind: 'numbers', default: [1e-4, 3e-4, 1e-3], above: 0, help: 'highest learning rates; each method keeps its best' },
  target: { kind: 'number', above: 1, help: 'perplexity to take the time to; what the worst of the kept runs ends at when not given' },
  stepsPerEval: { kind: 'whole', least: 1, help: 'updates between evaluations on held-out text; a tenth of them when not given' },
  merge: {
    kind: MERGE_RULES,
    default: 'recompute',
    help: 'the merged weight of every method but lors in the backward pass: made again, or kept as in their own repositories',
  },
  prune: { ...FINETUNE_OPTIONS.prune, help: 'prune the model first, for all methods' },
  ...picked(PRUNE_OPTIONS, OF_PRUNING),
  ...picked(FINETUNE_OPTIONS, OF_RUNS),
  iters: { ...FINETUNE_OPTIONS.iters, default: 200, help: 'updates of each run' },
  ...picked(FINETUNE_OPTIONS, OF_INIT),
  out: { kind: 'text', help: 'directory for compare.json and compare.html' },
  overwrite: COMMON.overwrite,
} as const satisfies OptionTable;

/** Some of an object's fields. */
export function picked<T, K extends keyof T>(all: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(names.map((name) => [name, all[name]])) as Pick<T, K>;
}
