/** The stream of training batches: rows are filled with whole windows, in an order shuffled anew each epoch. */
import { Random } from '../core/random.ts';
import type { RandomState } from '../core/random.ts';
import type { Sequence } from '../models/batch.ts';
import { packRows } from '../models/batch.ts';

/** Where a stream of batches stands: enough to go on exactly. */
export interface BatchCursor {
  readonly epoch: number;
  /** The row that comes next. */
  readonly row: number;
  /** The generator as it was before this epoch was shuffled. */
  readonly random: RandomState;
}

/** An endless stream of batches of `batchSize` rows. */
export class BatchStream {
  readonly #windows: readonly Sequence[];
  readonly #length: number;
  readonly #batchSize: number;
  #cursor: BatchCursor;
  #rows: Sequence[][] = [];
  #next: RandomState;

  constructor(all: readonly Sequence[], length: number, batchSize: number, start: number | BatchCursor) {
    this.#windows = all;
    this.#length = length;
    this.#batchSize = batchSize;
    this.#cursor = typeof start === 'number' ? { epoch: 0, row: 0, random: new Random(start).state() } : start;
    this.#next = this.#shuffle();
  }

  get cursor(): BatchCursor {
    return this.#cursor;
  }

  /** Batches of one epoch; the shuffle of each epoch may pack rows a little differently. */
  get batchesPerEpoch(): number {
    return Math.ceil(this.#rows.length / this.#batchSize);
  }

  /** The sequences of the next batch; the last batch of an epoch may be short. */
  next(): Sequence[] {
    const { epoch, row } = this.#cursor;
    const batch = this.#rows.slice(row, row + this.#batchSize).flat();
    if (row + this.#batchSize < this.#rows.length) {
      this.#cursor = { ...this.#cursor, row: row + this.#batchSize };
    } else {
      this.#cursor = { epoch: epoch + 1, row: 0, random: this.#next };
      this.#next = this.#shuffle();
    }
    return batch;
  }

  #shuffle(): RandomState {
    const random = new Random(this.#cursor.random);
    const order = random.permutation(this.#windows.length);
    this.#rows = packRows(
      Array.from(order, (i) => this.#windows[i]!),
      this.#length,
    );
    return random.state();
  }
}

/** All windows once, in their order, in batches of `batchSize` rows. */
export function batchesOf(all: readonly Sequence[], length: number, batchSize: number): Sequence[][] {
  const rows = packRows(all, length);
  return Array.from({ length: Math.ceil(rows.length / batchSize) }, (_, i) => rows.slice(i * batchSize, (i + 1) * batchSize).flat());
}
