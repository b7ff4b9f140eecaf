/** The options that mean something without files, processes and threads: names and defaults are the command's. */
import type { Given, Resolved } from '../core/options.ts';
import { EVALUATE_OPTIONS } from '../tasks/evaluateOptions.ts';
import { FINETUNE_OPTIONS } from '../tasks/finetuneOptions.ts';
import { GENERATE_OPTIONS } from '../tasks/generateOptions.ts';
import { PRUNING } from '../tasks/pruningOptions.ts';

const O = FINETUNE_OPTIONS;

export const EDGE_OPTIONS = {
  prune: O.prune,
  sparsity: O.sparsity,
  ...PRUNING,
  calibrationSamples: O.calibrationSamples,
  method: O.method,
  gradient: O.gradient,
  merge: O.merge,
  rank: O.rank,
  alpha: O.alpha,
  rslora: O.rslora,
  targetModules: O.targetModules,
  iters: O.iters,
  epochs: O.epochs,
  batchSize: O.batchSize,
  gradAccumulationSteps: O.gradAccumulationSteps,
  maxSeqLength: O.maxSeqLength,
  learningRate: O.learningRate,
  minLearningRate: O.minLearningRate,
  lrSchedule: O.lrSchedule,
  warmup: O.warmup,
  maxGradNorm: O.maxGradNorm,
  weightDecay: O.weightDecay,
  adamBeta1: O.adamBeta1,
  adamBeta2: O.adamBeta2,
  adamEpsilon: O.adamEpsilon,
  recompute: O.recompute,
  valBatches: O.valBatches,
  maskPrompt: O.maskPrompt,
  separator: O.separator,
  seed: O.seed,
} as const;

export type EdgeOptions = Given<typeof EDGE_OPTIONS>;
export type EdgeSettings = Resolved<typeof EDGE_OPTIONS>;

const E = EVALUATE_OPTIONS;

export const EDGE_EVALUATE_OPTIONS = { maxSeqLength: E.maxSeqLength, maskPrompt: E.maskPrompt, separator: E.separator } as const;

const G = GENERATE_OPTIONS;

export const EDGE_GENERATE_OPTIONS = {
  prompt: G.prompt,
  maxTokens: G.maxTokens,
  temperature: G.temperature,
  topK: G.topK,
  topP: G.topP,
  seed: G.seed,
} as const;
