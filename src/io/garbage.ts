/** Hosts free arrays when they come to it; a plan that says what stays resident cannot wait for that. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects what nothing refers to any more. A few milliseconds where the heap is small, whatever the arrays outside it. */
export function collectGarbage(): void {
  const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
  if (Bun) {
    Bun.gc(true);
    return;
  }
  // The flag makes `gc` a global of new contexts; it changes nothing in those that are there.
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
