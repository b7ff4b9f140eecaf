/**
 * The process of one run of a comparison: a fine-tuning that waits its turn before its updates, so that runs in processes of
 * their own, with a peak of memory of their own, share the machine evenly. contest.ts is the other end of its channel.
 */
import { finetune } from '../../tasks/finetune.ts';
import type { FinetuneHooks } from '../../tasks/finetune.ts';
import type { TrainEvent } from '../../tasks/events.ts';

/** What this process is told. */
export type Order =
  | { readonly order: 'start'; readonly options: Parameters<typeof finetune>[0] }
  /** So many updates, then the next one's turn. */
  | { readonly order: 'go'; readonly updates: number };

/** What it tells. */
export type Told =
  /** Listening. */
  | { readonly told: 'here' }
  /** Waiting for its turn. */
  | { readonly told: 'waiting' }
  | { readonly told: 'event'; readonly event: TrainEvent }
  /** The seconds of an update, waiting and evaluating not counted. */
  | { readonly told: 'update'; readonly seconds: number }
  | { readonly told: 'done' }
  | { readonly told: 'failed'; readonly error: string; readonly message: string };

const tell = (what: Told): void => void process.send?.(what);

/** Updates that may still be made in this turn. */
let allowed = 0;
let proceed: () => void = () => undefined;

const hooks: FinetuneHooks = {
  beforeStep: async () => {
    if (allowed === 0) {
      const turn = new Promise<void>((resolve) => (proceed = resolve));
      tell({ told: 'waiting' });
      await turn;
    }
    allowed--;
    began = performance.now();
  },
  onEvent: (event) => {
    if (event.event === 'progress') tell({ told: 'update', seconds: (performance.now() - began) / 1000 });
    tell({ told: 'event', event });
  },
};
let began = 0;

process.on('message', (order: Order) => {
  if (order.order === 'go') {
    allowed = order.updates;
    proceed();
    return;
  }
  finetune(order.options, hooks)
    .then(
      () => tell({ told: 'done' }),
      (error: unknown) => {
        const { name, message } = error instanceof Error ? error : new Error(String(error));
        tell({ told: 'failed', error: name, message });
      },
    )
    .finally(() => process.disconnect());
});
// Nobody is left to run for.
process.on('disconnect', () => process.exit());
tell({ told: 'here' });
