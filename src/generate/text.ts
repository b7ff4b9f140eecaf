/** Text from text. */
import { StreamDecoder } from '../io/streamDecoder.ts';
import type { Tokenizer } from '../io/tokenizerFormat.ts';
import type { LlamaModel } from '../models/model.ts';
import type { GenerateOptions } from './generate.ts';
import { generateIds } from './generate.ts';

export interface GenerateTextOptions extends Omit<GenerateOptions, 'stopIds'> {
  readonly prompt: string;
}

/** Yields the new text piece by piece, without the prompt, until the tokenizer's or the model's end of text. */
export async function* generateText(
  model: LlamaModel,
  tokenizer: Tokenizer,
  options: GenerateTextOptions,
): AsyncGenerator<string, void, void> {
  const bos = tokenizer.bosId === undefined ? [] : [tokenizer.bosId];
  const prompt = [...bos, ...tokenizer.encode(options.prompt)];
  const stopIds = [...model.config.eosIds, ...(tokenizer.eosId === undefined ? [] : [tokenizer.eosId])];
  const stream = new StreamDecoder(tokenizer, prompt);
  for await (const id of generateIds(model, prompt, { ...options, stopIds })) {
    const text = stream.push(id);
    if (text !== '') yield text;
  }
  const rest = stream.end();
  if (rest !== '') yield rest;
}
