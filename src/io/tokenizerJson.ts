/** Tokenizers from parsed tokenizer.json and tokenizer_config.json, by @huggingface/tokenizers. No files are touched here. */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { FormatError, UnsupportedError, explain } from '../core/errors.ts';
import type { Tokenizer } from './tokenizerFormat.ts';

/** What is used of the library; its declarations do not resolve from an ES module. */
interface Inner {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
}
type InnerConstructor = new (tokenizer: object, config: object) => Inner;

/** What a tokenizer is made of. */
export interface TokenizerParts {
  /** For messages. */
  readonly name: string;
  /** tokenizer.json */
  readonly json: Readonly<Record<string, unknown>>;
  /** tokenizer_config.json; empty where there is none. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The model's chat template, and what renders it; absent where there is none. */
  readonly chat?: { readonly template: string; readonly render: RenderTemplate } | undefined;
}

/** Renders a Jinja template. It comes from outside, so that who meets no template need not load its library. */
export type RenderTemplate = (template: string, variables: Record<string, unknown>) => string;

/** Makes a tokenizer. Throws FormatError. */
export function makeTokenizer({ name, json, config, chat }: TokenizerParts): Tokenizer {
  let inner: Inner;
  try {
    inner = new (HfTokenizer as unknown as InnerConstructor)(json, config);
  } catch (error) {
    throw new FormatError(`${name}: tokenizer.json: expected a tokenizer, got one that cannot be built: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  const special = (which: 'bos_token' | 'eos_token'): { text: string; id: number } | undefined => {
    const value = config[which];
    const text = typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
    if (typeof text !== 'string') return undefined;
    const id = inner.token_to_id(text);
    return id === undefined ? undefined : { text, id };
  };
  const bos = special('bos_token');
  const eos = special('eos_token');
  return {
    name,
    vocabSize: vocabularySize(json),
    bosId: bos?.id,
    eosId: eos?.id,
    hasChatTemplate: chat !== undefined,
    encode: (text) => (text === '' ? [] : inner.encode(text, { add_special_tokens: false }).ids),
    decode: (ids) => (ids.length === 0 ? '' : inner.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false })),
    renderChat: (messages, { addGenerationPrompt, tools }) => {
      if (chat === undefined) {
        throw new UnsupportedError(
          explain(
            `${name}: chat template`,
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
        return chat.render(chat.template, variables);
      } catch (error) {
        throw new FormatError(`${name}: chat template: expected it to accept the messages, got: ${messageOf(error)}.`, {
          cause: error,
        });
      }
    },
  };
}

/** The chat template of tokenizer_config.json, where it has one. */
export function templateOf(config: Readonly<Record<string, unknown>>): string | undefined {
  const template = config['chat_template'];
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return undefined;
  // Some models have several, by name.
  const named = template as { name?: unknown; template?: unknown }[];
  const found = named.find((t) => t.name === 'default') ?? named[0];
  return typeof found?.template === 'string' ? found.template : undefined;
}

function vocabularySize(json: Readonly<Record<string, unknown>>): number {
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
