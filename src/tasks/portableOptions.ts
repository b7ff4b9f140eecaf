/** Options that mean something without files, processes and threads too (src/edge); those of fine-tuning are in trainingOptions.ts. */
import type { OptionTable } from '../core/options.ts';
import { SEPARATORS } from '../io/rows.ts';

/** How a text file is cut into documents. */
export const SEPARATOR = {
  kind: SEPARATORS,
  default: 'file',
  help: 'a .txt is one document, or one for each run of lines between blank ones',
} as const;

/** Of evaluation. */
export const EVALUATING = {
  maxSeqLength: { kind: 'whole', default: 512, least: 2, help: 'tokens of a window; longer documents are cut' },
  maskPrompt: { kind: 'flag', default: false, help: 'count completions and answers only' },
  separator: SEPARATOR,
} as const satisfies OptionTable;

/** Of generation. */
export const GENERATING = {
  prompt: { kind: 'text', required: true, help: 'text to go on from' },
  maxTokens: { kind: 'whole', default: 128, least: 1, help: 'new tokens at most' },
  temperature: { kind: 'number', default: 0.8, least: 0, help: '0 always takes the most likely token' },
  topK: { kind: 'whole', default: 0, least: 0, help: 'choose among so many tokens; 0 for all' },
  topP: { kind: 'number', default: 0.95, above: 0, help: 'choose among the most likely tokens that reach this probability; 1 for all' },
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the choice' },
} as const satisfies OptionTable;
