/** The options that mean something without files, processes and threads: names and defaults are the command's. */
import type { Given, Resolved } from '../core/options.ts';
import { EVALUATE_OPTIONS } from '../tasks/evaluateOptions.ts';
import { GENERATE_OPTIONS } from '../tasks/generateOptions.ts';
import { TRAINING_OPTIONS } from '../tasks/trainingOptions.ts';

export const EDGE_OPTIONS = TRAINING_OPTIONS;

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
