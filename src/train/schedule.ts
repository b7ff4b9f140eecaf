/** Learning rates by step. */

export const SCHEDULES = ['constant', 'linear', 'cosine'] as const;

export interface Schedule {
  readonly kind: (typeof SCHEDULES)[number];
  /** The highest rate, reached when the warm-up ends. */
  readonly learningRate: number;
  /** The rate that `linear` and `cosine` come down to when the last step is done. */
  readonly minLearningRate: number;
  /** Steps over which the rate rises linearly from nothing. */
  readonly warmup: number;
  readonly steps: number;
}

/** The rate of step `step`, counted from 0 (transformers' get_cosine_schedule_with_warmup, with a floor). */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { kind, learningRate: peak, minLearningRate: low, warmup, steps } = schedule;
  if (step < warmup) return (peak * (step + 1)) / warmup;
  if (kind === 'constant') return peak;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const left = kind === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return low + (peak - low) * left;
}
