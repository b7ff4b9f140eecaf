/** What `lors compare` finds, as its JSON has it. */
import type { BenchReport } from '../types.ts';

export interface CompareReport {
  readonly schema: 'lors-compare/1';
  readonly made: string;
  readonly version: string;
  readonly host: BenchReport['host'];
  readonly options: Readonly<Record<string, unknown>>;
  /** Updates of each run. */
  readonly iters: number;
  /** Held-out perplexity before training, the same for all: every adapter starts as the model itself. */
  readonly before: number;
  readonly target: {
    readonly perplexity: number;
    /** `asked` for, or what the `worst` of the kept runs ends at, so that each reaches it. */
    readonly by: 'asked' | 'worst';
  };
  /** One a method, in the order that was asked for: its run at its best learning rate. */
  readonly rows: readonly MethodRow[];
  /** All runs, the kept ones among them. */
  readonly runs: readonly MethodRun[];
}

/** One method at one learning rate. */
export interface MethodRun {
  readonly method: string;
  readonly learningRate: number;
  /** Held-out, at the end; absent where the run diverged. */
  readonly perplexity?: number;
  /** Why it ended before its time. */
  readonly diverged?: string;
}

export interface MethodRow {
  readonly method: string;
  /** The best of those that were tried; absent, as all that comes of a run, where every one diverged. */
  readonly learningRate?: number;
  readonly perplexity?: number;
  /** By the median step. */
  readonly tokensPerSecond?: number;
  /** Of training alone, evaluations not counted; absent where the target was not reached. */
  readonly secondsToTarget?: number;
  /** The highest resident set of the run's process: as planned before its first step, and as it was after its last. */
  readonly plannedBytes?: number;
  readonly peakBytes?: number;
  readonly trainableParameters?: number;
  /** Of the model's pruned weights, the share that is zero when the adapter is fused; absent where nothing is pruned. */
  readonly zerosKept?: number;
  /** Held-out perplexity along the run, from its start. */
  readonly curve: readonly CurvePoint[];
}

export interface CurvePoint {
  readonly step: number;
  /** Of training alone. */
  readonly seconds: number;
  readonly perplexity: number;
}
