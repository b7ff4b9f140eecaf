/** Options of pruning that `prune` and `finetune --prune` have in common, and the rule that they make. */
import type { OptionTable, Resolved } from '../core/options.ts';
import { OWL_DEFAULTS } from '../prune/owl.ts';
import type { PruneRule } from '../prune/rule.ts';
import { checkRule } from '../prune/rule.ts';
import type { Pruner } from '../prune/rule.ts';
import { parseSparsity } from '../prune/sparsity.ts';

export const PRUNING = {
  channelPermutation: {
    kind: 'flag',
    default: false,
    help: 'with N:M by magnitude, wanda or ria: groups of inputs that need not be neighbours, chosen by score; the result is unstructured',
  },
  allocation: {
    kind: ['uniform', 'owl'],
    default: 'uniform',
    help: 'pruned share of each block: all the same, or less where more scores are outliers (OWL); not for N:M',
  },
  owlThreshold: {
    kind: 'number',
    default: OWL_DEFAULTS.threshold,
    above: 0,
    help: "with owl: outliers are scores above this many times their block's mean",
  },
  owlLambda: {
    kind: 'number',
    default: OWL_DEFAULTS.lambda,
    above: 0,
    below: 0.5,
    help: 'with owl: the shares of the blocks lie 2 lambda apart at most',
  },
} as const satisfies OptionTable;

/** The rule that options ask for. Throws RangeError where they make none, or do not go together. */
export function pruneRule(method: Pruner, sparsity: string, settings: Resolved<typeof PRUNING>): PruneRule {
  const { channelPermutation, allocation, owlThreshold, owlLambda } = settings;
  const owl = allocation === 'owl' ? { threshold: owlThreshold, lambda: owlLambda } : undefined;
  const rule = { method, sparsity: parseSparsity(sparsity), channelPermutation, owl };
  checkRule(rule);
  return rule;
}
