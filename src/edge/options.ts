/** The options that mean something without files, processes and threads: names and defaults are the command's. */
import type { Given, Resolved } from '../core/options.ts';
import { EVALUATING, GENERATING } from '../tasks/portableOptions.ts';
import { TRAINING_OPTIONS } from '../tasks/trainingOptions.ts';

export const EDGE_OPTIONS = TRAINING_OPTIONS;

export type EdgeOptions = Given<typeof EDGE_OPTIONS>;
export type EdgeSettings = Resolved<typeof EDGE_OPTIONS>;

export const EDGE_EVALUATE_OPTIONS = EVALUATING;
export const EDGE_GENERATE_OPTIONS = GENERATING;
