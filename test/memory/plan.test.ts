import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { ALIGNMENT, aligned, plan } from '../../src/memory/plan.ts';
import type { Plan, Span } from '../../src/memory/plan.ts';

/** What every plan must keep. */
function expectSound(spans: readonly Span[], planned: Plan): void {
  spans.forEach((a, i) => {
    const at = planned.offsets[i]!;
    if (at % ALIGNMENT !== 0) throw new Error(`span ${i} begins at ${at}, which is not aligned.`);
    if (at + a.bytes > planned.bytes) throw new Error(`span ${i} ends at ${at + a.bytes}, beyond the plan's ${planned.bytes} bytes.`);
    spans.slice(0, i).forEach((b, j) => {
      const together = a.first <= b.last && b.first <= a.last;
      const overlap = at < planned.offsets[j]! + b.bytes && planned.offsets[j]! < at + a.bytes;
      if (together && overlap && a.bytes && b.bytes) throw new Error(`spans ${i} and ${j} are live together and share bytes.`);
    });
  });
}

/** The most bytes that are live at one step: no plan can need less. */
function peak(spans: readonly Span[]): number {
  return Math.max(
    0,
    ...spans.map(({ first }) => spans.reduce((n, s) => (s.first <= first && first <= s.last ? n + aligned(s.bytes) : n), 0)),
  );
}

describe('the planner', () => {
  test('puts nothing on something that is live at the same time, whatever the spans', () => {
    const random = new Random(1);
    for (let round = 0; round < 300; round++) {
      const steps = 1 + random.below(30);
      const spans = Array.from({ length: random.below(60) }, (): Span => {
        const first = random.below(steps);
        return {
          bytes: random.below(5) ? 1 + random.below(5000) : 64 * random.below(40),
          first,
          last: first + random.below(steps - first),
        };
      });
      const planned = plan(spans);
      expectSound(spans, planned);
      expect(planned.bytes).toBeGreaterThanOrEqual(peak(spans));
      expect(planned.bytes).toBeLessThanOrEqual(spans.reduce((n, { bytes }) => n + aligned(bytes), 0));
    }
  });

  test('shares bytes between spans that follow one another', () => {
    const { offsets, bytes } = plan([
      { bytes: 640, first: 0, last: 1 },
      { bytes: 640, first: 2, last: 3 },
    ]);
    expect(offsets).toEqual([0, 0]);
    expect(bytes).toBe(640);
  });

  test('shares none between spans that meet at a step: an op reads the one and writes the other', () => {
    const { bytes } = plan([
      { bytes: 640, first: 0, last: 2 },
      { bytes: 640, first: 2, last: 3 },
    ]);
    expect(bytes).toBe(1280);
  });

  test('puts a small span into the gap that a large one leaves', () => {
    const spans = [
      { bytes: 1024, first: 0, last: 9 },
      { bytes: 512, first: 0, last: 4 },
      { bytes: 256, first: 5, last: 9 },
      { bytes: 256, first: 5, last: 9 },
    ];
    const planned = plan(spans);
    expectSound(spans, planned);
    expect(planned.bytes).toBe(peak(spans));
  });

  test('finds the lowest gap between spans that are live, not the end', () => {
    const planned = plan([
      { bytes: 512, first: 0, last: 9 },
      { bytes: 448, first: 0, last: 3 },
      { bytes: 384, first: 0, last: 9 },
      { bytes: 320, first: 4, last: 9 },
    ]);
    expect(planned.offsets).toEqual([0, 896, 512, 896]);
  });

  test('those that are live when most is leave no gap between them, whatever comes and goes around them', () => {
    // As in training: what a layer saves lives until its turn comes back, turns have scratch, and so has the head in the middle. By size
    // alone the scratch of 512 goes before what is saved, and 2624 bytes are needed.
    const layers = 3;
    const spans = Array.from({ length: layers }, (_, i): Span[] => {
      const turn = 2 * layers - i;
      const saved = [448, 64].map((bytes): Span => ({ bytes, first: i, last: turn }));
      return [...saved, ...[512, 320].map((bytes): Span => ({ bytes, first: turn, last: turn }))];
    }).flat();
    spans.push({ bytes: 768, first: layers, last: layers });
    const planned = plan(spans);
    expectSound(spans, planned);
    expect(planned.bytes).toBe(peak(spans));
  });

  test('where weights come and go while others stay, it is no larger than by size alone', () => {
    // Those that are live when most is, longest first, need 2496 bytes here.
    const layers = 5;
    const spans = Array.from({ length: layers }, (_, i): Span[] =>
      [64, 128].map((bytes): Span => ({ bytes, first: i, last: 2 * layers - i })),
    ).flat();
    for (let step = 0; step < 2 * layers; step++) spans.push({ bytes: 704, first: step, last: step + 1 });
    const planned = plan(spans);
    expectSound(spans, planned);
    expect(planned.bytes).toBe(2368);
    expect(planned.bytes).toBe(peak(spans));
  });

  test('aligns odd sizes', () => {
    const planned = plan([
      { bytes: 1, first: 0, last: 0 },
      { bytes: 65, first: 0, last: 0 },
    ]);
    expect(planned.offsets).toEqual([128, 0]);
    expect(planned.bytes).toBe(192);
  });

  test('is the same for the same spans: a checkpoint may not move', () => {
    const spans = Array.from({ length: 20 }, (_, i): Span => ({ bytes: 64 * (i % 3), first: i, last: i + 5 }));
    expect(plan(spans)).toEqual(plan(spans));
  });

  test('needs nothing for nothing', () => {
    expect(plan([])).toEqual({ offsets: [], bytes: 0 });
  });
});
