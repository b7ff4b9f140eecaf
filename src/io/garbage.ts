/** Hosts free arrays when they come to it; a plan that says what stays resident cannot wait for that. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects what nothing refers to any more. A few milliseconds where the heap is small, whatever the arrays outside it. */
export function collectGarbage(): void {
  collector()();
}

/** Whether V8 knows how to give back the room that a heap has grown by: Node 22 on. */
export const HEAP_SHRINKS = Number.parseInt(process.versions.v8) >= 12;

/** The same, and the heap gives back the room that it has grown by, where it can. Three times as long. */
export function shrinkHeap(): void {
  const collect = collector();
  collect();
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

function collector(): (options?: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void {
  const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
  if (Bun) return () => Bun.gc(true);
  // The flag makes `gc` a global of new contexts; it changes nothing in those that are there.
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as ReturnType<typeof collector>;
}
