/** Sessions on the threads of Node. piscina owns them; each has one task for the whole session (worker.ts). */
import { availableParallelism } from 'node:os';
import type { Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Program } from '../program/program.ts';
import type { SessionOptions, Sessions } from '../runtime/session.ts';
import type { Crew } from './session.ts';
import { ThreadedSession, threadedSessions } from './session.ts';

export interface PooledOptions extends SessionOptions {
  /** Worker threads; the cores that this process may use when absent. `module` must be one for shared memory. */
  readonly threads?: number;
}

/** The compiled worker; source and compiled files are equally deep in the package. */
const WORKER = new URL('../../dist/threads/worker.js', import.meta.url);

/** A worker walks steps and makes nothing that lasts: room for new objects that it would take otherwise, up to 48 MB, stays resident. */
const WORKER_HEAP = { maxYoungGenerationSizeMb: 2 };

export class PooledSession extends ThreadedSession {
  /** The threads themselves: for those who look at them, or end one. */
  readonly workers: Piscina['threads'];

  constructor(programs: readonly Program[], options: PooledOptions) {
    const threads = options.threads ?? availableParallelism();
    let pool: Piscina | undefined;
    super(programs, options, threads, () => {
      pool = new Piscina({
        filename: WORKER.href,
        minThreads: threads,
        maxThreads: threads,
        idleTimeout: Infinity,
        resourceLimits: WORKER_HEAP,
      });
      return crewOf(pool);
    });
    this.workers = pool!.threads;
  }
}

function crewOf(pool: Piscina): Crew {
  return {
    start: async (task, transfer) => {
      // The MessagePort of the web and that of Node are one class here, with two declarations.
      await pool.run(task, { transferList: transfer as unknown as Transferable[] });
    },
    end: () => pool.destroy(),
  };
}

/** Sessions on worker threads. */
export function pooledSessions(options: PooledOptions): Sessions {
  const threads = options.threads ?? availableParallelism();
  return threadedSessions(options, threads, (programs) => new PooledSession(programs, { ...options, threads }));
}
