/** The order of the data: every window once an epoch, in an order of its own, from any point on as from the start. */
import { expect, test } from 'vitest';
import type { Sequence } from '../../src/models/batch.ts';
import { BatchStream } from '../../src/train/batches.ts';

/** Windows that are told apart by their length. */
const all = Array.from({ length: 17 }, (_, i): Sequence => ({ ids: new Int32Array(i + 2) }));
const lengths = (batch: readonly Sequence[]): number[] => batch.map(({ ids }) => ids.length);

/** The batches of one epoch, which a stream stands at the start of. */
function epochOf(stream: BatchStream): number[][] {
  const { epoch } = stream.cursor;
  const batches: number[][] = [];
  while (stream.cursor.epoch === epoch) batches.push(lengths(stream.next()));
  return batches;
}

test('an epoch has every window once; each epoch, and each seed, has an order of its own', () => {
  const stream = new BatchStream(all, 20, 2, 3);
  const epochs = [epochOf(stream), epochOf(stream), epochOf(stream), epochOf(new BatchStream(all, 20, 2, 4))];
  for (const epoch of epochs) expect(epoch.flat().sort((a, b) => a - b)).toEqual(all.map(({ ids }) => ids.length));
  expect(new Set(epochs.map((epoch) => epoch.flat().join())).size).toBe(epochs.length);
  expect(epochOf(new BatchStream(all, 20, 2, 3))).toEqual(epochs[0]);
});

test('no batch has more tokens than its rows hold', () => {
  const stream = new BatchStream(all, 20, 2, 3);
  for (const batch of epochOf(stream)) expect(batch.reduce((n, length) => n + length - 1, 0)).toBeLessThanOrEqual(40);
});

test('a stream that starts at the cursor of another goes on as that one does', () => {
  const stream = new BatchStream(all, 20, 2, 3);
  for (let done = 0; done < 30; done++) {
    const other = new BatchStream(all, 20, 2, JSON.parse(JSON.stringify(stream.cursor)) as BatchStream['cursor']);
    const ahead = new BatchStream(all, 20, 2, stream.cursor);
    for (let i = 0; i < 12; i++) expect(lengths(other.next())).toEqual(lengths(ahead.next()));
    expect(lengths(new BatchStream(all, 20, 2, stream.cursor).next())).toEqual(lengths(stream.next()));
  }
});
