/** A trained adapter as people exchange it: its rule, and the factors of each module. */
import type { AdapterModule } from './factors.ts';
import type { AdapterMethod } from './methods.ts';
import type { RankSharing } from './rule.ts';

/** The ranks that a super-adapter was trained to run with, the largest first, and who share one (NLS). */
export interface ElasticRanks {
  readonly ranks: readonly number[];
  readonly sharing: RankSharing;
}

export interface AdapterConfig {
  readonly method: AdapterMethod;
  /** The rank that the scaling counts; a module may have fewer (NLS). */
  readonly rank: number;
  readonly alpha: number;
  /** scaling = alpha / sqrt(rank) instead of alpha / rank. */
  readonly rslora: boolean;
  /** Projections that have factors: `q_proj`, `up_proj` ... */
  readonly targetModules: readonly string[];
  readonly baseModel: string;
  /** Its merged weights are on INT4 grids, of which each module has its own, with so many inputs a group (QA-SparsePEFT). */
  readonly groupSize?: number | undefined;
  /** Of a super-adapter and its sub-adapters. */
  readonly nls?: ElasticRanks | undefined;
  /** The masks it was trained in; absent in files of PEFT's own. */
  readonly patternFingerprint?: string;
}

export interface Adapter {
  readonly config: AdapterConfig;
  /** By module name: `model.layers.0.self_attn.q_proj`. */
  readonly modules: ReadonlyMap<string, AdapterModule>;
}

/** alpha / rank (LoRA, PEFT), or alpha / sqrt(rank) (rsLoRA, arXiv 2312.03732; the LoRS authors' code). */
export function scalingOf(alpha: number, rank: number, rslora: boolean): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}
