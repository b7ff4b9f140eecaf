/** The questions that every adapter method answers, each in a file of its own; methods.ts has the table. */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Factors, UpShape } from './factors.ts';
import type { AdapterGradient } from './lors.ts';
import type { WeightOps } from './weightOps.ts';

/** A linear layer with an adapter. */
export interface AdapterLinear extends LinearLayer {
  /** Emits W~, the weight with the adapter in it, in the order of the weight's values: what fusing writes. */
  merged(b: ProgramBuilder): Value;
}

/**
 * The merged weight in the backward pass: made again (the best for memory, at the price of one merge), or kept from the
 * forward pass on, as the methods' own repositories do through autograd. Both come to the same bits.
 */
export const MERGE_RULES = ['recompute', 'keep'] as const;
export type MergeRule = (typeof MERGE_RULES)[number];

/** Who share an elastic rank (NLS): all modules of a block, as SQFT's code has it, or none. */
export const RANK_SHARING = ['block', 'module'] as const;
export type RankSharing = (typeof RANK_SHARING)[number];

export interface AdapterLayerOptions {
  /** One of the method's; its first when absent. */
  readonly gradient?: AdapterGradient | undefined;
  /** Recomputed when absent. */
  readonly merge?: MergeRule | undefined;
}

/** What an adapter's files say it is. PEFT runs LORA and HIRA; it refuses LORS, this package's type for what it does not have. */
export type PeftType = 'LORA' | 'HIRA' | 'LORS';

export interface AdapterRule {
  /** Merged, it leaves the zeros of the weight zero. */
  readonly keepsZeros: boolean;
  /** The merged weight as adapter files say it. */
  readonly formula: string;
  readonly peftType: PeftType;
  /** The shape of `up` beside `down` [rank, in]. */
  readonly upShape: UpShape;
  /** The gradients that it can be trained with, its own first. */
  readonly gradients: readonly AdapterGradient[];
  /** Whether it computes with a merged weight, for MergeRule to say how long that lives. */
  readonly merges: boolean;
  /** Whether it runs with its first ranks alone (NLS), and whether it knows grids (QA-SparsePEFT). Neither when absent. */
  readonly elastic?: boolean;
  readonly quantizes?: boolean;
  /** Why `down` cannot start from the gradient of the weight (train/gradientInit.ts), where it cannot. */
  readonly noGradientInit?: string;
  /** Throws RangeError where a weight of this shape cannot have an adapter of this rank. */
  readonly check?: (name: string, rows: number, cols: number, rank: number) => void;
  readonly linear: (name: string, ops: WeightOps, factors: Factors, options: AdapterLayerOptions) => AdapterLinear;
}
