/** The page's worker: everything that takes time happens here, or in the threads that this worker starts. */
import { canShareMemory } from 'lors-wasm/browser';
import type { Request, Saved, Told } from '../protocol.ts';
import { flavourOf } from './kernels.ts';
import { savedRun } from './kept.ts';
import { Run } from './run.ts';
import { openStore } from './store.ts';
import type { Store } from './store.ts';

let store: Store | undefined;
let run: Run | undefined;
let stopping = new AbortController();

function tell(told: Told): void {
  postMessage(told);
}

const DOING: Readonly<Record<Request['ask'], string>> = {
  hello: 'This browser',
  train: 'Training',
  resume: 'Resuming',
  stop: 'Stopping',
  layer: 'The layer',
  download: 'The download',
  forget: 'Deleting',
};

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  answer(data).catch((error: unknown) => {
    tell({ tell: 'failed', what: DOING[data.ask], why: error instanceof Error ? error.message : String(error) });
  });
});

async function answer(request: Request): Promise<void> {
  if (request.ask === 'hello') {
    store = await openStore(request.store);
    const shared = canShareMemory();
    const threads = shared ? navigator.hardwareConcurrency : 1;
    tell({ tell: 'here', kernels: flavourOf('auto'), threads, shared, store: store.kind, ...savedOf(await savedRun(store)) });
    return;
  }
  if (!store) throw new Error('expected the page to say hello first.');
  const kept = store;
  switch (request.ask) {
    case 'train':
      return alone(() => begin(Run.start(request.job, kept, tell)));
    case 'resume':
      return alone(() => begin(Run.resume(kept, tell)));
    case 'stop':
      stopping.abort();
      return;
    case 'layer':
      run?.tellPatterns(request.name);
      return;
    case 'download':
      if (!run) throw new Error('expected a run, got none.');
      tell({ tell: 'file', ...(await run.download(request.what)) });
      return;
    case 'forget':
      await alone(() => kept.clear());
      tell({ tell: 'forgotten' });
  }
}

function savedOf(saved: Saved | undefined): { readonly saved?: Saved } {
  return saved ? { saved } : {};
}

async function begin(starting: Promise<Run>): Promise<void> {
  stopping = new AbortController();
  run = undefined;
  run = await starting;
  await run.train(stopping.signal);
}

/** What changes the kept run, one at a time among all tabs of this origin. */
async function alone(work: () => Promise<void>): Promise<void> {
  await navigator.locks.request('lors', { ifAvailable: true }, async (lock) => {
    if (!lock) throw new Error('a run is under way in another tab of this browser. It has to end first.');
    await work();
  });
}
