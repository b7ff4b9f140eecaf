/** Ids that come one at a time, as text. */
import type { Tokenizer } from './tokenizerFormat.ts';

/**
 * Turns ids into text as they come. `push` returns what is final: an incomplete character is held back until its last
 * byte is there. `context` ids come before, so that the first new token keeps its leading space.
 */
export class StreamDecoder {
  readonly #tokenizer: Tokenizer;
  readonly #ids: number[];
  #shown: number;

  constructor(tokenizer: Tokenizer, context: readonly number[] = []) {
    this.#tokenizer = tokenizer;
    this.#ids = [...context];
    this.#shown = tokenizer.decode(context).length;
  }

  push(id: number): string {
    this.#ids.push(id);
    return this.#take(true);
  }

  /** What was held back. */
  end(): string {
    return this.#take(false);
  }

  #take(hold: boolean): string {
    const text = this.#tokenizer.decode(this.#ids);
    if (hold && text.endsWith('\ufffd')) return '';
    const fresh = text.slice(this.#shown);
    this.#shown = text.length;
    return fresh;
  }
}
