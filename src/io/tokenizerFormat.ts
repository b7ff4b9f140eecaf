/** What this package asks of a tokenizer, whoever makes it. */
import { FormatError, explain } from '../core/errors.ts';
import type { LlamaModel } from '../models/model.ts';

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Tokenizer {
  /** For messages: the directory, or the file. */
  readonly name: string;
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether the model has a chat template. */
  readonly hasChatTemplate: boolean;
  /** Ids of a text, without special tokens of their own making. */
  readonly encode: (text: string) => number[];
  /** The text of ids, special tokens left out. */
  readonly decode: (ids: readonly number[]) => string;
  /** Messages through the model's chat template. Throws UnsupportedError where it has none, FormatError where it refuses them. */
  readonly renderChat: (
    messages: readonly Message[],
    options: { readonly addGenerationPrompt: boolean; readonly tools?: unknown },
  ) => string;
}

/** Throws FormatError where a tokenizer knows ids that the model has no embedding for. */
export function checkTokenizer(model: LlamaModel, tokenizer: Tokenizer): void {
  const { vocabSize } = model.config;
  if (tokenizer.vocabSize > vocabSize) {
    throw new FormatError(
      explain(
        `${tokenizer.name}: tokenizer`,
        `a vocabulary of at most ${vocabSize}, the rows of the embedding`,
        `${tokenizer.vocabSize}`,
        'Does it belong to this model?',
      ),
    );
  }
}
