/** Every option of evaluation, once. */
import type { OptionTable } from '../core/options.ts';
import { COMMON } from './commonOptions.ts';
import { EVALUATING } from './portableOptions.ts';

export const EVALUATE_OPTIONS = {
  model: COMMON.model,
  data: { kind: 'text', required: true, help: '.txt or .jsonl file, or a directory (its test split, else valid, else train)' },
  adapter: { kind: 'text', help: 'adapter directory' },
  split: { kind: ['auto', 'train', 'valid', 'test'], default: 'auto', help: 'of a data directory; auto is test, else valid, else train' },
  ...EVALUATING,
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
} as const satisfies OptionTable;
