/** Every option of generation, once. */
import type { OptionTable } from '../core/options.ts';
import { COMMON } from './commonOptions.ts';

export const GENERATE_OPTIONS = {
  model: COMMON.model,
  prompt: { kind: 'text', required: true, help: 'text to go on from' },
  adapter: { kind: 'text', help: 'adapter directory' },
  maxTokens: { kind: 'whole', default: 128, least: 1, help: 'new tokens at most' },
  temperature: { kind: 'number', default: 0.8, least: 0, help: '0 always takes the most likely token' },
  topK: { kind: 'whole', default: 0, least: 0, help: 'choose among so many tokens; 0 for all' },
  topP: { kind: 'number', default: 0.95, above: 0, help: 'choose among the most likely tokens that reach this probability; 1 for all' },
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the choice' },
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
} as const satisfies OptionTable;
