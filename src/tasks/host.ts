/** Where a task runs: the kernels' flavour, worker threads, and the memory that weights are loaded into. */
import { availableParallelism } from 'node:os';
import { collectGarbage } from '../io/garbage.ts';
import { kernelModule } from '../io/kernelModule.ts';
import { MemoryBudgetError, explain } from '../core/errors.ts';
import type { Flavour } from '../core/flavour.ts';
import type { Arena } from '../runtime/arena.ts';
import { pooledSessions } from '../threads/pool.ts';
import type { Sessions } from '../runtime/session.ts';
import { megabytes } from '../runtime/session.ts';

export interface Host {
  readonly flavour: Flavour;
  readonly threads: number;
  /** Sessions on the worker threads, on an arena of their own or on one that holds a model's weights. */
  readonly sessions: (arena?: Arena, memoryBytes?: number) => Sessions;
}

/** The host that `--kernels` and `--threads` ask for. */
export function openHost({ kernels, threads = availableParallelism() }: { kernels: Flavour | 'auto'; threads?: number | undefined }): Host {
  const { module, flavour } = kernelModule(kernels, true);
  return {
    flavour,
    threads,
    sessions: (arena, memoryBytes) => pooledSessions({ module, threads, memoryBytes, ...(arena && { arena }) }),
  };
}

/** Bytes of the process that are resident, what loading left behind collected first. */
export async function residentBytes(): Promise<number> {
  collectGarbage();
  // V8 gives arrays back on a thread of its own.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return process.memoryUsage.rss();
}

/** The highest resident set of the process so far, in bytes. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** What the arena may take of a limit on the whole process: the rest of it is there already, and threads are still to come. */
export async function arenaBudget(memory: number | undefined, arena: Arena, threads: number): Promise<number | undefined> {
  if (memory === undefined) return undefined;
  const others = (await residentBytes()) - arena.end + threads * THREAD_BYTES + HOST_BYTES;
  if (memory > others) return memory - others;
  throw new MemoryBudgetError(
    explain('--memory', `more than the ${megabytes(others)} that the process takes beside weights and training`, megabytes(memory)),
  );
}

/** Resident bytes of a worker thread, and what the host's own heap grows by while a run is planned and told of. */
const THREAD_BYTES = 10e6;
const HOST_BYTES = 60e6;
