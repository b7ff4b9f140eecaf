/** From rows to token ids. */
import { FormatError, explain } from '../core/errors.ts';
import type { Sequence } from '../models/batch.ts';
import { targetTokens } from '../models/batch.ts';
import type { Row } from './rows.ts';
import type { Tokenizer } from './tokenizerFormat.ts';

export interface TokenizeOptions {
  /** Whether a prompt's tokens count for nothing in the loss. */
  readonly maskPrompt: boolean;
}

export interface Tokenized {
  readonly documents: Sequence[];
  /** Rows left out because no token of them is a target. */
  readonly dropped: number;
}

/** Token ids of rows, with BOS and EOS where the tokenizer has them. Throws FormatError where nothing is left to learn. */
export function tokenizeRows(rows: readonly Row[], tokenizer: Tokenizer, { maskPrompt }: TokenizeOptions): Tokenized {
  const all = rows.map((row) => tokenizeRow(row, tokenizer, maskPrompt));
  const kept = all.filter((document) => targetTokens(document) > 0);
  if (kept.length === 0) throw new FormatError(explain('data', 'at least one token to predict', `none in ${rows.length} rows`));
  return { documents: kept, dropped: all.length - kept.length };
}

function tokenizeRow(row: Row, tokenizer: Tokenizer, maskPrompt: boolean): Sequence {
  const bos = tokenizer.bosId === undefined ? [] : [tokenizer.bosId];
  const eos = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  if (row.kind === 'text') return { ids: Int32Array.from(withEos(withBos(tokenizer.encode(row.text), bos), eos)) };
  if (row.kind === 'completion') {
    // Encoded together: a sentencepiece tokenizer puts a space before a text of its own, which a prompt's continuation has not.
    const ids = withEos(withBos(tokenizer.encode(row.prompt + row.completion), bos), eos);
    return targeted(ids, maskPrompt ? sharedStart(ids, withBos(tokenizer.encode(row.prompt), bos)) : 0);
  }
  const { messages, tools } = row;
  const ids = withBos(tokenizer.encode(tokenizer.renderChat(messages, { addGenerationPrompt: false, tools })), bos);
  if (!maskPrompt) return { ids: Int32Array.from(ids) };
  const last = messages.findLastIndex((message) => message.role === 'assistant');
  if (last < 0) return targeted(ids, ids.length);
  const before = tokenizer.renderChat(messages.slice(0, last), { addGenerationPrompt: true, tools });
  return targeted(ids, sharedStart(ids, withBos(tokenizer.encode(before), bos)));
}

/** How many tokens two texts begin with alike: where a token spans the border, it belongs to what follows the prompt. */
function sharedStart(ids: readonly number[], prompt: readonly number[]): number {
  const differs = prompt.findIndex((id, i) => id !== ids[i]);
  return differs < 0 ? prompt.length : differs;
}

/** A chat template, or the text, may have BOS already. */
function withBos(ids: number[], bos: readonly number[]): number[] {
  return bos.length > 0 && ids[0] !== bos[0] ? [...bos, ...ids] : ids;
}

function withEos(ids: number[], eos: readonly number[]): number[] {
  return eos.length > 0 && ids.at(-1) !== eos[0] ? [...ids, ...eos] : ids;
}

function targeted(ids: readonly number[], from: number): Sequence {
  return { ids: Int32Array.from(ids), targets: Uint8Array.from(ids, (_, i) => (i >= from ? 1 : 0)) };
}
