/**
 * The memory planner: lifetimes in, offsets out. Pure. Spans that are never live together may share bytes.
 *
 * Largest first, each into the lowest gap that fits between the spans it overlaps in time: the greedy-by-size plan of
 * Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020). But before all others those that are live when
 * most is, longest first: side by side, they take what no plan can do without, where by size alone they left gaps between them.
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
}

/** Offsets are multiples of this: a cache line, and a tile's feature. */
export const ALIGNMENT = 64;

/** Rounds up to the alignment. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Places spans. */
export function plan(spans: readonly Span[]): Plan {
  const all = spans.map(({ bytes, ...steps }) => ({ ...steps, bytes: aligned(bytes), at: 0 }));
  const bySize = all.toSorted((a, b) => b.bytes - a.bytes);
  let most = 0;
  let together = bySize;
  for (const { first } of all) {
    const live = bySize.filter((span) => span.first <= first && first <= span.last);
    const sum = live.reduce((n, { bytes }) => n + bytes, 0);
    if (sum > most) [most, together] = [sum, live];
  }
  together.sort((a, b) => b.last - b.first - (a.last - a.first));
  const placed: typeof all = [];
  let bytes = 0;
  for (const span of new Set([...together, ...bySize])) {
    // `placed` is sorted by offset, so the first gap found is the lowest.
    for (const other of placed) {
      if (other.last < span.first || span.last < other.first) continue;
      if (span.at + span.bytes <= other.at) break;
      span.at = Math.max(span.at, other.at + other.bytes);
    }
    const after = placed.findIndex(({ at }) => at > span.at);
    placed.splice(after < 0 ? placed.length : after, 0, span);
    bytes = Math.max(bytes, span.at + span.bytes);
  }
  return { offsets: all.map(({ at }) => at), bytes };
}
