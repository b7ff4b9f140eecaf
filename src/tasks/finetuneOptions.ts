/** Every option of fine-tuning, once: the command's flags and the library's fields both come from this table. */
import type { OptionTable } from '../core/options.ts';
import { COMMON } from './commonOptions.ts';
import { NLS, QUANTIZING } from './sqftOptions.ts';
import { TRAINING_OPTIONS } from './trainingOptions.ts';

export const FINETUNE_OPTIONS = {
  model: COMMON.model,
  data: { kind: 'text', required: true, help: '.txt or .jsonl file, or a directory with train, valid and test files' },
  out: { kind: 'text', required: true, help: 'directory for the adapter, checkpoints and log' },
  ...TRAINING_OPTIONS,
  ...QUANTIZING,
  ...NLS,
  init: {
    kind: ['kaiming', 'gradient'],
    default: 'kaiming',
    help: "start of the adapter's down: random, or the top singular vectors of the dense weights' mean gradient",
  },
  initSamples: { kind: 'whole', default: 128, least: 1, help: 'with --init gradient: windows of the training data that it is the mean of' },
  initPasses: { kind: 'whole', default: 2, least: 1, help: 'with --init gradient: passes over them; more are more exact' },
  initGamma: { kind: 'number', default: 1, above: 0, help: 'with --init gradient: what the singular vectors are divided by' },
  memory: { kind: 'bytes', help: 'most memory that the process may take, such as 2GB; refused before the run' },
  stepsPerReport: { kind: 'whole', default: 10, least: 1, help: 'updates between reports' },
  stepsPerEval: { kind: 'whole', default: 100, least: 0, help: 'updates between evaluations on the valid split; 0 for none but the last' },
  saveEvery: { kind: 'whole', default: 100, least: 0, help: 'updates between checkpoints; 0 for none but the last' },
  resume: { kind: 'text', help: 'go on from a checkpoint-N directory, or the last one of an output directory' },
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
  overwrite: COMMON.overwrite,
} as const satisfies OptionTable;
