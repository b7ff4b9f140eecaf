/**
 * The memory planner: lifetimes in, offsets out. Pure. Spans that are never live together may share bytes.
 *
 * Largest first, each into the lowest gap that fits between the spans it overlaps in time: the greedy-by-size plan of
 * Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020).
 */

/** Something that needs `bytes` from step `first` to step `last`, both included. */
export interface Span {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Plan {
  /** Byte offset of each span, in the order given. */
  readonly offsets: readonly number[];
  /** Bytes that the plan needs. */
  readonly bytes: number;
  /** Bytes without any sharing. */
  readonly unshared: number;
}

/** Offsets are multiples of this: a cache line, and a tile's feature. */
export const ALIGNMENT = 64;

/** Rounds up to the alignment. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Places spans. */
export function plan(spans: readonly Span[]): Plan {
  const offsets = new Array<number>(spans.length).fill(0);
  const order = spans.map((_, i) => i).sort((a, b) => spans[b]!.bytes - spans[a]!.bytes || a - b);
  const placed: number[] = [];
  let bytes = 0;
  let unshared = 0;
  for (const i of order) {
    const span = spans[i]!;
    const size = aligned(span.bytes);
    let at = 0;
    // `placed` is sorted by offset, so the first gap found is the lowest.
    for (const j of placed) {
      const other = spans[j]!;
      if (other.last < span.first || span.last < other.first) continue;
      if (at + size <= offsets[j]!) break;
      at = Math.max(at, offsets[j]! + aligned(other.bytes));
    }
    offsets[i] = at;
    const after = placed.findIndex((j) => offsets[j]! > at);
    placed.splice(after < 0 ? placed.length : after, 0, i);
    bytes = Math.max(bytes, at + size);
    unshared += size;
  }
  return { offsets, bytes, unshared };
}
