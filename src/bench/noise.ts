/** When what was measured is too uncertain to build on. */
import type { BenchRow } from './types.ts';

/** Width of the middle half of the samples, of their median, from which they count as noisy. */
const NOISY = 0.1;

export interface Spread {
  readonly low: number;
  readonly high: number;
}

/** Whether the middle half of what was measured is wide for its median. */
export function isNoisy(median: number, { low, high }: Spread): boolean {
  return high - low > NOISY * median;
}

/** Whether the speed-up of a row is uncertain: its rounds disagree about it, or, where that is not known, about the time. */
export function isUnsure({ overDense, overDenseSpread, noisy }: BenchRow): boolean {
  return overDense !== undefined && overDenseSpread ? isNoisy(overDense, overDenseSpread) : noisy;
}
