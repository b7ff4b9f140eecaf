/** Every option of generation, once. */
import type { OptionTable } from '../core/options.ts';
import { COMMON } from './commonOptions.ts';
import { GENERATING } from './portableOptions.ts';

export const GENERATE_OPTIONS = {
  model: COMMON.model,
  ...GENERATING,
  adapter: { kind: 'text', help: 'adapter directory' },
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
} as const satisfies OptionTable;
