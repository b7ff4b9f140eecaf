/** Every option of evaluation, once. */
import type { OptionTable } from '../core/options.ts';
import { COMMON } from './commonOptions.ts';

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
