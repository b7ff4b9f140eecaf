/** Tokenizers as Hugging Face directories have them (tokenizer.json, tokenizer_config.json), by @huggingface/tokenizers. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { FormatError, UnsupportedError, explain } from '../core/errors.ts';
import { readJsonObject, readText } from './json.ts';

export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Tokenizer {
  /** For messages: the directory. */
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

/** What is used of the library; its declarations do not resolve from an ES module. */
interface Inner {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
}
type InnerConstructor = new (tokenizer: object, config: object) => Inner;

/** Loads the tokenizer of a model directory. Throws FormatError. */
export function loadTokenizer(directory: string): Tokenizer {
  const json = readJsonObject(join(directory, 'tokenizer.json'));
  const configPath = join(directory, 'tokenizer_config.json');
  const config = existsSync(configPath) ? readJsonObject(configPath) : {};
  let inner: Inner;
  try {
    inner = new (HfTokenizer as unknown as InnerConstructor)(json, config);
  } catch (error) {
    throw new FormatError(
      `${join(directory, 'tokenizer.json')}: expected a tokenizer, got one that cannot be built: ${messageOf(error)}.`,
      { cause: error },
    );
  }
  const special = (name: 'bos_token' | 'eos_token'): { text: string; id: number } | undefined => {
    const value = config[name];
    const text = typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
    if (typeof text !== 'string') return undefined;
    const id = inner.token_to_id(text);
    return id === undefined ? undefined : { text, id };
  };
  const bos = special('bos_token');
  const eos = special('eos_token');
  const template = chatTemplate(directory, config);
  return {
    name: directory,
    vocabSize: vocabularySize(json),
    bosId: bos?.id,
    eosId: eos?.id,
    hasChatTemplate: template !== undefined,
    encode: (text) => (text === '' ? [] : inner.encode(text, { add_special_tokens: false }).ids),
    decode: (ids) => (ids.length === 0 ? '' : inner.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false })),
    renderChat: (messages, { addGenerationPrompt, tools }) => {
      if (template === undefined) {
        throw new UnsupportedError(
          explain(
            `${directory}: chat template`,
            'one in tokenizer_config.json or chat_template.jinja',
            'none',
            'Use rows of {prompt, completion} or {text} with this model.',
          ),
        );
      }
      try {
        const variables = {
          messages,
          tools,
          add_generation_prompt: addGenerationPrompt,
          bos_token: bos?.text ?? '',
          eos_token: eos?.text ?? '',
        };
        return new Template(template).render(variables);
      } catch (error) {
        throw new FormatError(`${directory}: chat template: expected it to accept the messages, got: ${messageOf(error)}.`, {
          cause: error,
        });
      }
    },
  };
}

function chatTemplate(directory: string, config: Record<string, unknown>): string | undefined {
  const file = join(directory, 'chat_template.jinja');
  if (existsSync(file)) return readText(file);
  const template = config['chat_template'];
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return undefined;
  // Some models have several, by name.
  const named = template as { name?: unknown; template?: unknown }[];
  const found = named.find((t) => t.name === 'default') ?? named[0];
  return typeof found?.template === 'string' ? found.template : undefined;
}

function vocabularySize(json: Record<string, unknown>): number {
  const vocab = (json['model'] as { vocab?: unknown } | undefined)?.vocab;
  const ids = Array.isArray(vocab) ? vocab.map((_, id) => id) : Object.values((vocab ?? {}) as Record<string, number>);
  const added = (json['added_tokens'] ?? []) as { id: number }[];
  let size = 0;
  for (const id of ids) size = Math.max(size, id + 1);
  for (const { id } of added) size = Math.max(size, id + 1);
  return size;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

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
