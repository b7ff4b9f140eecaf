/** Options of SQFT's parts, and what they must be together. */
import type { ElasticRanks } from '../adapters/adapter.ts';
import { ADAPTER_METHODS, ruleOf } from '../adapters/methods.ts';
import { RANK_SHARING } from '../adapters/rule.ts';
import { explain } from '../core/errors.ts';
import type { Given, OptionTable, Resolved } from '../core/options.ts';
import { flagOf } from '../core/options.ts';
import type { AdapterMethod } from '../adapters/methods.ts';
import { GROUP_SIZE, checkSize } from '../quant/grid.ts';
import { RANK_SEARCHES, rankChoice } from '../train/nls.ts';

export const QUANTIZING = {
  quantize: {
    kind: ['int4'],
    help: "with sqft: train and merge on group-wise INT4 grids (QA-SparsePEFT), the model's own where it has some; of the projections that get an adapter",
  },
  groupSize: { kind: 'whole', least: 4, help: `inputs that share a scale and a zero point; ${GROUP_SIZE} when not given` },
} as const satisfies OptionTable;

/** How a search for ranks goes on. */
export const SEARCHING = {
  nlsSearch: {
    kind: RANK_SEARCHES,
    default: 'heuristic',
    help: 'ranks that are kept: the middle one everywhere, or from there on to better ones on the valid split',
  },
  nlsTurns: { kind: 'whole', default: 20, least: 1, help: 'with hill-climbing: sub-adapters to try' },
} as const satisfies OptionTable;

export const NLS = {
  nlsRanks: {
    kind: 'wholes',
    least: 1,
    help: 'with sqft: train a super-adapter (NLS), its rank drawn from these at each step; the largest is --rank',
  },
  nlsSharing: { kind: RANK_SHARING, default: 'block', help: 'who share a rank of --nls-ranks: all projections of a block, or none' },
  ...SEARCHING,
} as const satisfies OptionTable;

/** Throws RangeError where an option of SQFT was given that the method, or the options beside it, have no use for. */
export function checkSqft(method: AdapterMethod | 'full', given: Given<typeof QUANTIZING & typeof NLS>): void {
  const rule = method === 'full' ? undefined : ruleOf(method);
  const having = (has: 'quantizes' | 'elastic'): string => `--method ${ADAPTER_METHODS.filter((m) => ruleOf(m)[has]).join(' or ')}`;
  if (given.quantize !== undefined && !rule?.quantizes)
    throw new RangeError(explain('--quantize', having('quantizes'), `--method ${method}`));
  if (given.nlsRanks !== undefined && !rule?.elastic) throw new RangeError(explain('--nls-ranks', having('elastic'), `--method ${method}`));
  if (given.groupSize !== undefined) {
    if (given.quantize === undefined) throw new RangeError(explain('--group-size', '--quantize beside it', 'none'));
    checkSize(given.groupSize);
  }
  for (const name of ['nlsSharing', 'nlsSearch', 'nlsTurns'] as const) {
    if (given[name] !== undefined && given.nlsRanks === undefined)
      throw new RangeError(explain(flagOf(name), '--nls-ranks beside it', 'none'));
  }
}

/** The rank that a super-adapter has where none is given: the largest that it runs with. */
export function largestRank({ nlsRanks }: Given<typeof NLS>): number | undefined {
  const ranks: readonly number[] = Array.isArray(nlsRanks) ? nlsRanks : [];
  return ranks.length > 0 && ranks.every(Number.isSafeInteger) ? Math.max(...ranks) : undefined;
}

/** The ranks that options ask for, of an adapter of this rank. Throws RangeError. */
export function elasticOf({ nlsRanks, nlsSharing }: Resolved<typeof NLS>, rank: number): ElasticRanks | undefined {
  return nlsRanks && { ranks: rankChoice(nlsRanks, rank), sharing: nlsSharing };
}
