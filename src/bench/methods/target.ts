/** When a run came down to a perplexity. */
import type { CurvePoint } from './types.ts';

/** Seconds of training, by a straight line in the loss between the evaluations on either side; undefined where it never did. */
export function secondsTo(curve: readonly CurvePoint[], target: number): number | undefined {
  const at = curve.findIndex(({ perplexity }) => perplexity <= target);
  if (at < 0) return undefined;
  const [after, before] = [curve[at]!, curve[at - 1]];
  if (!before) return after.seconds;
  const share = Math.log(before.perplexity / target) / Math.log(before.perplexity / after.perplexity);
  return before.seconds + share * (after.seconds - before.seconds);
}
