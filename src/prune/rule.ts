/** The pruners, what they can be asked for, and what does not go together. None of their code is here: who only asks need not load it. */
import { explain } from '../core/errors.ts';
import type { OwlOptions } from './owl.ts';
import type { Sparsity } from './sparsity.ts';
import { formatSparsity } from './sparsity.ts';

export const PRUNERS = ['magnitude', 'wanda', 'ria', 'sparsegpt'] as const;
export type Pruner = (typeof PRUNERS)[number];

/** What is pruned, and how. */
export interface PruneRule {
  readonly method: Pruner;
  readonly sparsity: Sparsity;
  /** N:M by scores: groups are of inputs that need not be neighbours (RIA's channel permutation). The result is unstructured. */
  readonly channelPermutation?: boolean | undefined;
  /** Shares and blocks: each block of the model gets its own (OWL). All the same when absent. */
  readonly owl?: OwlOptions | undefined;
}

/** Whether a rule looks at what goes through the model. */
export function needsCalibration({ method, owl }: PruneRule): boolean {
  return method !== 'magnitude' || owl !== undefined;
}

/** Throws RangeError where the parts of a rule do not go together. */
export function checkRule({ method, sparsity, channelPermutation, owl }: PruneRule): void {
  const refuse = (what: string, expected: string, got: string, hint: string): never => {
    throw new RangeError(explain(what, expected, got, hint));
  };
  if (channelPermutation && sparsity.kind !== 'n:m') {
    refuse('channel permutation', 'N:M such as 2:4', formatSparsity(sparsity), 'Only groups of inputs depend on their order.');
  }
  if (channelPermutation && method === 'sparsegpt') {
    refuse('channel permutation', 'magnitude, wanda or ria', method, 'SparseGPT takes inputs in the order that they have.');
  }
  if (owl && sparsity.kind === 'n:m') {
    refuse('OWL', 'a share such as 70% or 4x1:70%', formatSparsity(sparsity), 'N:M leaves every block the same.');
  }
}
