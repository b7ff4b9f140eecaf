/**
 * The memory planner: lifetimes in, offsets out. Pure. Spans that are never live together may share bytes.
 *
 * Largest first, each into the lowest gap that fits between the spans it overlaps in time: the greedy-by-size plan of
 * Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020). Or, where that gives a smaller plan, before all
 * others those that are live when most is, longest first: what lives long then stands side by side, where by size alone there were gaps.
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

interface Placed extends Span {
  at: number;
}

/** Places spans. */
export function plan(spans: readonly Span[]): Plan {
  const all = spans.map(({ bytes, first, last }): Placed => ({ bytes: aligned(bytes), first, last, at: 0 }));
  const bySize = all.toSorted((a, b) => b.bytes - a.bytes);
  const step = heaviest(all);
  const together = bySize.filter(({ first, last }) => first <= step && step <= last);
  together.sort((a, b) => b.last - b.first - (a.last - a.first));
  const size = place(bySize);
  const bytes = place([...new Set([...together, ...bySize])]);
  return { bytes: size < bytes ? place(bySize) : bytes, offsets: all.map(({ at }) => at) };
}

/** The step at which most bytes are live. */
function heaviest(spans: readonly Span[]): number {
  const changes = spans.flatMap(({ bytes, first, last }) => [
    { step: first, bytes },
    { step: last + 1, bytes: -bytes },
  ]);
  // What ends before a step makes room for what begins there.
  changes.sort((a, b) => a.step - b.step || a.bytes - b.bytes);
  let live = 0;
  let most = 0;
  let heaviest = 0;
  for (const { step, bytes } of changes) {
    live += bytes;
    if (live > most) [most, heaviest] = [live, step];
  }
  return heaviest;
}

/** Places spans one after another; returns the bytes that they need. */
function place(order: readonly Placed[]): number {
  const placed: Placed[] = [];
  let bytes = 0;
  for (const span of order) {
    span.at = 0;
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
  return bytes;
}
