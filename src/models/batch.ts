/** Writes sequences into a session's inputs: one flat run of tokens, each sequence a document that sees only itself. */
import { TILE } from '../kernels/table.ts';
import type { BatchInputs } from '../nn/batch.ts';
import type { Counts } from '../program/program.ts';
import type { Session } from '../runtime/session.ts';

/** A document, or a window of one: token i predicts token i + 1. */
export interface Sequence {
  readonly ids: Int32Array;
  /** 1 where a token counts as a target; all do where absent. The first never is one. */
  readonly targets?: Uint8Array;
}

/** A slot that is none. */
export const NONE = 0xffffffff;

/** Tokens that a sequence puts in: all but its last, which is only a target. */
export function inputTokens(sequence: Sequence): number {
  return Math.max(0, sequence.ids.length - 1);
}

/** Input tokens of all sequences together. */
export function totalInput(sequences: readonly Sequence[]): number {
  return sequences.reduce((n, sequence) => n + inputTokens(sequence), 0);
}

/** Input tokens of the longest sequence. */
export function longestInput(sequences: Iterable<Sequence>): number {
  let longest = 0;
  for (const sequence of sequences) longest = Math.max(longest, inputTokens(sequence));
  return longest;
}

/** How many tokens of a sequence are targets. */
export function targetTokens(sequence: Sequence): number {
  if (!sequence.targets) return inputTokens(sequence);
  let n = 0;
  for (let i = 1; i < sequence.ids.length; i++) n += sequence.targets[i]!;
  return n;
}

/**
 * Cuts documents into windows of at most `length` input tokens that overlap in one token, so that every token is predicted
 * once. Windows without a target are left out.
 */
export function windows(documents: readonly Sequence[], length: number): Sequence[] {
  const out: Sequence[] = [];
  for (const { ids, targets } of documents) {
    for (let from = 0; from + 1 < ids.length; from += length) {
      const to = Math.min(from + length + 1, ids.length);
      const window = targets ? { ids: ids.subarray(from, to), targets: targets.subarray(from, to) } : { ids: ids.subarray(from, to) };
      if (targetTokens(window) > 0) out.push(window);
    }
  }
  return out;
}

/** Fills rows of at most `length` input tokens with windows, in order: the next row begins where a window does not fit. */
export function packRows(all: Iterable<Sequence>, length: number): Sequence[][] {
  const rows: Sequence[][] = [];
  let room = 0;
  for (const window of all) {
    const tokens = inputTokens(window);
    if (tokens > room || rows.length === 0) {
      rows.push([]);
      room = length;
    }
    rows.at(-1)!.push(window);
    room -= tokens;
  }
  return rows;
}

/**
 * Writes a batch. Tokens beyond the batch, in its last tile, are documents of their own without a label.
 * Throws RangeError where the tokens do not fit or an id is not in the vocabulary.
 */
export function writeBatch(session: Session, inputs: BatchInputs, sequences: readonly Sequence[], vocabulary: number): Counts {
  const capacity = inputs.ids.bytes / 4;
  const tokens = totalInput(sequences);
  if (tokens > capacity) throw new RangeError(`batch: expected at most ${capacity} tokens, got ${tokens}.`);
  const has = (value: BatchInputs[keyof BatchInputs]): Uint32Array =>
    session.has(value) ? session.words(value) : new Uint32Array(capacity);
  const ids = has(inputs.ids).fill(0);
  const positions = has(inputs.positions).fill(0);
  const first = has(inputs.first);
  const last = has(inputs.last);
  const labelSlots = has(inputs.labelSlots).fill(NONE);
  const labels = has(inputs.labels).fill(NONE);
  const labelPlaces = has(inputs.labelPlaces).fill(NONE);
  let slot = 0;
  let labelled = 0;
  for (const { ids: document, targets } of sequences) {
    const begin = slot;
    for (let i = 0; i + 1 < document.length; i++, slot++) {
      ids[slot] = inVocabulary(document[i]!, vocabulary);
      positions[slot] = i;
      first[slot] = begin;
      last[slot] = slot;
      if (targets && !targets[i + 1]) continue;
      labelSlots[labelled] = slot;
      labelPlaces[slot] = labelled;
      labels[labelled++] = inVocabulary(document[i + 1]!, vocabulary);
    }
  }
  for (; slot < capacity; slot++) first[slot] = last[slot] = slot;
  return { tokens, tiles: Math.ceil(tokens / TILE), labelled, labelTiles: Math.ceil(labelled / TILE) };
}

function inVocabulary(id: number, vocabulary: number): number {
  if (id >= 0 && id < vocabulary) return id;
  throw new RangeError(
    `batch: expected token ids below the vocabulary of ${vocabulary}, got ${id}. Do the tokenizer and the model belong together?`,
  );
}
