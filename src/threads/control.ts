/**
 * What host and workers tell each other without messages: words in shared memory, a cache line each. A wait spins for a
 * short while, since a barrier is passed in under a microsecond when all have a core, and then sleeps, since the machine
 * may have fewer free cores than there are workers.
 */

const LINE = 16;
/** Counts the commands of the host. */
export const EPOCH = 0;
/** The command: a program's number, or STOP; then its counts. */
export const COMMAND = EPOCH + 1;
const COUNTS = EPOCH + 2;
/** Workers that have come to the barrier, and how often all have. */
const ARRIVED = LINE;
const GENERATION = 2 * LINE;
/** The first unit of the step that nobody has taken. */
const NEXT = ARRIVED + 1;
/** 0, or 1 + the worker that failed; HOST where the host calls everything off. */
export const FAULT = 3 * LINE;
/** Fetches that have arrived in this run. */
export const STAGED = 4 * LINE;
/** Workers that have begun. */
export const READY = 5 * LINE;
/** For each worker, a line apart: the step that it is at. */
const STEP = 6 * LINE;

export const STOP = -1;
export const HOST = -1;

/** Rounds of spinning before sleep: some ten microseconds. */
const SPINS = 4000;

/** Thrown in a worker where another one has failed, or the host calls everything off. */
export class Stopped extends Error {
  override name = 'Stopped';
}

export function createControl(workers: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer((STEP + workers * LINE) * 4));
}

/** The word of the step that a worker is at. */
export function stepOf(worker: number): number {
  return STEP + worker * LINE;
}

/** Gives a command to all workers. */
export function command(control: Int32Array, what: number, counts: readonly number[] = []): void {
  control[COMMAND] = what;
  control.set(counts, COUNTS);
  Atomics.store(control, STAGED, 0);
  Atomics.add(control, EPOCH, 1);
  Atomics.notify(control, EPOCH);
}

/** The counts of the command. */
export function countsOf(control: Int32Array): [number, number, number, number] {
  return [control[COUNTS]!, control[COUNTS + 1]!, control[COUNTS + 2]!, control[COUNTS + 3]!];
}

/** Calls everything off: whoever waits, or comes to wait, gets Stopped. The first fault stays. */
export function callOff(control: Int32Array, fault: number): void {
  Atomics.compareExchange(control, FAULT, 0, fault);
  for (const word of [EPOCH, GENERATION, STAGED]) Atomics.notify(control, word);
}

/**
 * Shares out the units of a step: each worker comes for more when it is done, for half of its share of what is left, so that
 * all end together, whatever a unit costs and however busy the cores are. `meet` begins the next step.
 */
export function share(control: Int32Array, workers: number, units: number, take: (begin: number, end: number) => void): void {
  if (workers === 1) {
    take(0, units);
    return;
  }
  for (;;) {
    const begin = Atomics.load(control, NEXT);
    if (begin >= units) return;
    const end = begin + Math.ceil((units - begin) / (2 * workers));
    if (Atomics.compareExchange(control, NEXT, begin, end) === begin) take(begin, end);
  }
}

/** Waits until all workers have come here. */
export function meet(control: Int32Array, workers: number): void {
  if (workers === 1) return;
  const generation = Atomics.load(control, GENERATION);
  if (Atomics.add(control, ARRIVED, 1) < workers - 1) {
    whileIs(control, GENERATION, generation);
    return;
  }
  Atomics.store(control, ARRIVED, 0);
  Atomics.store(control, NEXT, 0);
  Atomics.store(control, GENERATION, (generation + 1) | 0);
  Atomics.notify(control, GENERATION);
}

/** Waits while a word has a value. Throws Stopped. */
export function whileIs(control: Int32Array, word: number, value: number): void {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.load(control, word) !== value) return;
  }
  while (Atomics.load(control, word) === value) {
    if (Atomics.load(control, FAULT) !== 0) throw new Stopped();
    // The limit covers a notice that comes between the look at the fault and the wait.
    Atomics.wait(control, word, value, 50);
  }
}
