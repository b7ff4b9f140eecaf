/** Where a task runs: the kernels' flavour, worker threads, and the memory that weights are loaded into. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { HEAP_SHRINKS, shrinkHeap } from '../io/garbage.ts';
import { kernelModule } from '../io/kernelModule.ts';
import { MemoryBudgetError, explain } from '../core/errors.ts';
import type { Flavour } from '../core/flavour.ts';
import type { Arena } from '../runtime/arena.ts';
import { pooledSessions } from '../threads/pool.ts';
import type { Sessions } from '../runtime/session.ts';
import { megabytes } from '../runtime/session.ts';
import type { Trainer } from '../train/trainer.ts';

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

/** Bytes of the process that are resident, what loading left behind given back first. */
export async function residentBytes(): Promise<number> {
  shrinkHeap();
  // V8 gives arrays back on a thread of its own.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return process.memoryUsage.rss();
}

/** The highest resident set of the process so far, in bytes. */
export function peakBytes(): number {
  // Linux starts a child's ru_maxrss at what its parent had, which may be more than all of this process; VmHWM is its own.
  const own = existsSync(STATUS) ? /VmHWM:\s+(\d+) kB/.exec(readFileSync(STATUS, 'utf8'))?.[1] : undefined;
  return Number(own ?? process.resourceUsage().maxRSS) * 1024;
}

const STATUS = '/proc/self/status';

/** The highest resident set that a run will have: what is there, what it will touch of the arena, and what running adds. */
export async function plannedBytes({ untouched }: Pick<Trainer, 'untouched'>, threads: number): Promise<number> {
  return Math.max(peakBytes(), (await residentBytes()) + untouched + threads * RUNNING_BYTES);
}

/** What a thread adds when it runs for the first time: kernels that the host compiles, and its heap. Measured 3 to 12 MB. */
const RUNNING_BYTES = 10e6;

/** What the arena may take of a limit on the whole process: the rest of it is there already, and threads are still to come. */
export async function arenaBudget(memory: number | undefined, arena: Arena, threads: number): Promise<number | undefined> {
  if (memory === undefined) return undefined;
  const others = (await residentBytes()) - arena.end + threads * (THREAD_BYTES + RUNNING_BYTES) + HOST_BYTES;
  if (memory > others) return memory - others;
  throw new MemoryBudgetError(
    explain('--memory', `more than the ${megabytes(others)} that the process takes beside weights and training`, megabytes(memory)),
  );
}

/** Resident bytes of a worker thread, and what the host's own heap grows by while a run is planned and told of: more where it cannot shrink. */
const THREAD_BYTES = 10e6;
const HOST_BYTES = HEAP_SHRINKS ? 14e6 : 40e6;
