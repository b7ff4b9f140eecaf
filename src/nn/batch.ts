/**
 * What the host puts in for each batch. Tokens are one flat run of documents, in tiles of 16; documents follow one
 * another and only see themselves. Every array has one u32 a token, up to the capacity.
 */
import { TILE } from '../kernels/table.ts';
import type { Value } from '../program/value.ts';

export interface BatchInputs {
  readonly ids: Value;
  /** Position of each token in its document. */
  readonly positions: Value;
  /** Slots of the first and the last key that each token may see. */
  readonly first: Value;
  readonly last: Value;
  /** Tokens that have a label: their slots, compact, NONE beyond. */
  readonly labelSlots: Value;
  /** Their labels, compact, -1 beyond. */
  readonly labels: Value;
  /** For each token its place among the labelled ones, or NONE. */
  readonly labelPlaces: Value;
  /** One f32: what each token's loss gradient is multiplied by. */
  readonly lossScale: Value;
}

/** Inputs for up to `tiles` tiles. */
export function batchInputs(tiles: number): BatchInputs {
  const input = (name: string, bytes = tiles * TILE * 4): Value => ({ name, bytes, kind: 'input' });
  return {
    ids: input('ids'),
    positions: input('positions'),
    first: input('first'),
    last: input('last'),
    labelSlots: input('labelSlots'),
    labels: input('labels'),
    labelPlaces: input('labelPlaces'),
    lossScale: input('lossScale', 4),
  };
}
