/** The options of fine-tuning that mean something wherever it runs: without files, processes and threads too (src/edge). */
import { ADAPTER_GRADIENTS } from '../adapters/lors.ts';
import { ADAPTER_METHODS } from '../adapters/methods.ts';
import { MERGE_RULES } from '../adapters/rule.ts';
import type { OptionTable } from '../core/options.ts';
import { PROJECTIONS } from '../models/names.ts';
import { PRUNERS } from '../prune/rule.ts';
import { SCHEDULES } from '../train/schedule.ts';
import { SEPARATOR } from './portableOptions.ts';
import { PRUNING } from './pruningOptions.ts';

export const FINETUNE_METHODS = [...ADAPTER_METHODS, 'full'] as const;

export const TRAINING_OPTIONS = {
  prune: { kind: PRUNERS, help: 'prune the model first' },
  sparsity: {
    kind: 'text',
    default: '2:4',
    help: 'with --prune: kept:group such as 2:4, a share such as 0.5 or 50%, or that of blocks: 4x1:70%',
  },
  ...PRUNING,
  calibrationSamples: { kind: 'whole', default: 128, least: 1, help: 'with --prune: windows of the training data to calibrate on' },
  method: {
    kind: FINETUNE_METHODS,
    default: 'lors',
    help: 'what trains: an adapter inside the mask, a dense one (lora: merging it fills the zeros), or every kept weight (full)',
  },
  gradient: {
    kind: ADAPTER_GRADIENTS,
    default: 'lors',
    help: 'of lors: as in the paper (mask left out), or exact, as sp-lora and sqft have it',
  },
  merge: {
    kind: MERGE_RULES,
    default: 'recompute',
    help: "the merged weight in the backward pass: made again, or kept from the forward pass on, as in the methods' own repositories",
  },
  rank: { kind: 'whole', default: 16, least: 1, help: 'rank of the adapter' },
  alpha: { kind: 'number', default: 32, above: 0, help: 'scaling = alpha / rank' },
  rslora: { kind: 'flag', default: false, help: 'scaling = alpha / sqrt(rank)' },
  targetModules: { kind: 'list', default: PROJECTIONS, values: PROJECTIONS, help: 'projections that get an adapter' },
  iters: { kind: 'whole', least: 1, help: 'updates; instead of --epochs' },
  epochs: { kind: 'number', default: 1, above: 0, help: 'passes over the training data' },
  batchSize: {
    kind: 'whole',
    default: 4,
    least: 1,
    help: 'rows of --max-seq-length tokens a batch; short documents share a row, unseen by each other',
  },
  gradAccumulationSteps: {
    kind: 'whole',
    default: 1,
    least: 1,
    help: 'batches an update; gradients of more than one take memory of their own',
  },
  maxSeqLength: { kind: 'whole', default: 512, least: 2, help: 'tokens of a row; longer documents are cut' },
  learningRate: { kind: 'number', default: 2e-4, above: 0, help: 'highest learning rate' },
  minLearningRate: { kind: 'number', default: 0, least: 0, help: 'learning rate at the end of a linear or cosine schedule' },
  lrSchedule: { kind: SCHEDULES, default: 'cosine', help: 'course of the learning rate' },
  warmup: { kind: 'whole', default: 0, least: 0, help: 'updates over which the learning rate rises' },
  maxGradNorm: { kind: 'number', default: 1, least: 0, help: 'clip gradients to this global norm; 0 for no clipping' },
  weightDecay: { kind: 'number', default: 0, least: 0, help: 'decoupled weight decay' },
  adamBeta1: { kind: 'number', default: 0.9, least: 0, below: 1, help: 'decay of the first moment' },
  adamBeta2: { kind: 'number', default: 0.999, least: 0, below: 1, help: 'decay of the second moment' },
  adamEpsilon: { kind: 'number', default: 1e-8, above: 0, help: 'added to the root of the second moment' },
  recompute: {
    kind: ['none', 'mlp', 'block', 'auto'],
    default: 'auto',
    help: 'activations made again in the backward pass, for less memory and more time: none, those of MLPs, all of blocks; auto: as few as fit',
  },
  valBatches: { kind: 'whole', default: 25, least: 0, help: 'batches of an evaluation; 0 for all' },
  maskPrompt: { kind: 'flag', default: false, help: 'learn completions and answers only' },
  separator: SEPARATOR,
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the initial adapter and the order of the data' },
} as const satisfies OptionTable;
