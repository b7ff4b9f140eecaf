/**
 * Sessions on Web Workers: the same task and the same shared memory as the threads of Node have. Pages have shared memory only
 * where they are cross-origin isolated, and their main thread may not wait, so the host of a session is best a worker itself.
 */
import { UnsupportedError, explain } from '../core/errors.ts';
import type { Program } from '../program/program.ts';
import type { SessionOptions, Sessions } from '../runtime/session.ts';
import type { Crew } from './session.ts';
import { ThreadedSession, threadedSessions } from './session.ts';
import type { WorkerTask } from './worker.ts';

export interface WebOptions extends SessionOptions {
  /** Web Workers; the cores of the machine when absent. `module` must be one for shared memory. */
  readonly threads?: number;
}

/** What a thread says when its task has ended, and why. */
export type WebWorkerMessage = 'ended' | { readonly failed: unknown };

/** Whether this page, or worker of a page, may share memory between threads. */
export function canShareMemory(): boolean {
  return globalThis.crossOriginIsolated && typeof SharedArrayBuffer === 'function';
}

/** Sessions on Web Workers. Throws UnsupportedError where the page is not cross-origin isolated. */
export function webSessions(options: WebOptions): Sessions {
  if (!canShareMemory()) {
    throw new UnsupportedError(
      explain(
        'threads',
        'a page that is cross-origin isolated',
        'one that is not',
        'Serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or use localSessions.',
      ),
    );
  }
  const threads = options.threads ?? navigator.hardwareConcurrency;
  return threadedSessions(options, threads, (programs: readonly Program[]) => new ThreadedSession(programs, options, threads, webCrew));
}

function webCrew(): Crew {
  const workers: Worker[] = [];
  return {
    start: (task: WorkerTask, transfer) =>
      new Promise((resolve, reject) => {
        // Bundlers look for exactly this expression. The script is the compiled one: source and compiled files are equally deep.
        const worker = new Worker(new URL('../../dist/threads/webWorker.js', import.meta.url), { type: 'module', name: `lors ${task.me}` });
        workers.push(worker);
        worker.onmessage = ({ data }: MessageEvent<WebWorkerMessage>) => {
          if (data === 'ended') resolve();
          else reject(data.failed instanceof Error ? data.failed : new Error(String(data.failed)));
        };
        worker.onerror = ({ message }) => reject(new Error(message || 'its script could not be loaded'));
        worker.postMessage(task, transfer);
      }),
    end: () => {
      for (const worker of workers) worker.terminate();
      return Promise.resolve();
    },
  };
}
