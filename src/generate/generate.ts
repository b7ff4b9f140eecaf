/** Text from a prompt, token by token. */
import { Random } from '../core/random.ts';
import { explain } from '../core/errors.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Sessions } from '../runtime/session.ts';
import { Decoder } from './decoder.ts';
import type { Sampling } from './sample.ts';
import { checkSampling, sample } from './sample.ts';

export interface GenerateOptions extends Sampling {
  /** New tokens at most; the model's own limit of positions holds too. */
  readonly maxTokens: number;
  readonly seed: number;
  /** Ids that end the text; config.json's own when absent. */
  readonly stopIds?: readonly number[];
  /** Where it runs. */
  readonly sessions: Sessions;
}

/** Yields new token ids after `prompt`, until a stop id (which is not yielded), the limit, or the model's last position. */
export async function* generateIds(
  model: LlamaModel,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, void, void> {
  checkSampling(options);
  const { maxPositions, eosIds } = model.config;
  if (prompt.length === 0) throw new RangeError('prompt: expected at least one token, got none. A model without a BOS token needs text.');
  if (prompt.length >= maxPositions)
    throw new RangeError(explain('prompt', `fewer tokens than the model's ${maxPositions} positions`, `${prompt.length}`));
  const stop = new Set(options.stopIds ?? eosIds);
  const random = new Random(options.seed);
  const limit = Math.min(options.maxTokens, maxPositions - prompt.length);
  const decoder = new Decoder(model, prompt.length + limit, options.sessions);
  try {
    let logits = await decoder.feed(prompt);
    for (let n = 0; n < limit; n++) {
      const id = sample(logits, options, random);
      if (stop.has(id)) return;
      yield id;
      if (n + 1 < limit) logits = await decoder.feed([id]);
    }
  } finally {
    await decoder.close();
  }
}
