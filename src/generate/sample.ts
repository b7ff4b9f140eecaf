/** Picks the next token from logits. */
import type { Random } from '../core/random.ts';
import { explain } from '../core/errors.ts';

export interface Sampling {
  /** 0 is greedy: the highest logit, the lower id on a tie. */
  readonly temperature: number;
  /** Only the k highest logits; 0 for all. */
  readonly topK: number;
  /** Only the most likely tokens that together reach this probability (nucleus sampling, arXiv 1904.09751); 1 for all. */
  readonly topP: number;
}

/** Throws RangeError where a setting is out of range. */
export function checkSampling({ temperature, topK, topP }: Sampling): void {
  if (!(temperature >= 0)) throw new RangeError(explain('temperature', 'a number of at least 0', `${temperature}`));
  if (!Number.isInteger(topK) || topK < 0) throw new RangeError(explain('top-k', 'a whole number of at least 0', `${topK}`));
  if (!(topP > 0 && topP <= 1)) throw new RangeError(explain('top-p', 'a number above 0 and at most 1', `${topP}`));
}

/** A token id. Temperature comes first, then top-k, then top-p, as transformers has them. */
export function sample(logits: Float32Array, { temperature, topK, topP }: Sampling, random: Random): number {
  if (temperature === 0) return highest(logits);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (topK > 0 && topK < order.length) order.length = topK;
  const top = logits[order[0]!]!;
  const weights = order.map((id) => Math.exp((logits[id]! - top) / temperature));
  let total = weights.reduce((a, b) => a + b, 0);
  if (topP < 1) {
    let kept = 0;
    let n = 0;
    while (n < weights.length && kept < topP * total) kept += weights[n++]!;
    weights.length = n;
    total = kept;
  }
  let left = random.uniform() * total;
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]!;
    if (left < 0) return order[i]!;
  }
  return order[weights.length - 1]!;
}

function highest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}
