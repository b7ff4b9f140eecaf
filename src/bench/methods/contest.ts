/** Runs in processes of their own that take turns: whatever else the machine does hits all of them alike. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { totalmem } from 'node:os';
import { DivergenceError, MemoryBudgetError, WorkerError } from '../../core/errors.ts';
import type { finetune } from '../../tasks/finetune.ts';
import type { EvalEvent, StartEvent } from '../../tasks/events.ts';
import { megabytes } from '../../runtime/session.ts';
import { summary } from '../measure.ts';
import type { Order, Told } from './contestant.ts';
import type { CurvePoint } from './types.ts';

/** The compiled process; source and compiled files are equally deep in the package. */
const CONTESTANT = new URL('../../../dist/bench/methods/contestant.js', import.meta.url);

/** Updates in a turn: enough for caches to be one's own again, few enough for a slow minute to fall on everybody. */
const TURN = 4;

type FinetuneOptions = Parameters<typeof finetune>[0];

/** What a run measured of itself. */
export interface RunResult {
  readonly start: StartEvent;
  readonly tokensPerSecond: number;
  readonly peakBytes: number;
  /** After each evaluation; the last of them is the result. */
  readonly curve: readonly CurvePoint[];
}

/** A fine-tuning in a process of its own. */
class Contestant {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #options: FinetuneOptions;
  #start: StartEvent | undefined;
  #peakBytes = 0;
  #tokens = 0;
  /** Of an initialisation before the first update, which is training too. */
  #before = 0;
  readonly #updates: number[] = [];
  readonly #curve: CurvePoint[] = [];
  /** Ends the turn that is under way. */
  #turn: { resolve: (more: boolean) => void; reject: (error: Error) => void } | undefined;

  constructor(name: string, options: FinetuneOptions) {
    this.name = name;
    this.#options = options;
    this.#child = fork(CONTESTANT, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (told: Told) => this.#hear(told));
    this.#child.on('error', (error) => this.#turn?.reject(error));
    this.#child.on('exit', (code, signal) => {
      this.#turn?.reject(
        new WorkerError(`${name}: its process ended with ${signal ?? `exit code ${code}`} before its run did. Is there memory for it?`),
      );
    });
  }

  /** Loads and plans: until it waits for its first turn. */
  start(): Promise<boolean> {
    return this.#until(() => undefined);
  }

  /** Makes some updates; false when the run has come to its end. Throws what ended it. */
  turn(): Promise<boolean> {
    return this.#until(() => this.#say({ order: 'go', updates: TURN }));
  }

  get plannedBytes(): number {
    return this.#start?.plannedBytes ?? 0;
  }

  result(): RunResult {
    // The first update compiles kernels and touches memory for the first time.
    const seconds = summary(this.#updates.length > 1 ? this.#updates.slice(1) : this.#updates).median;
    const tokensPerSecond = this.#tokens / this.#updates.length / seconds;
    return { start: this.#start!, tokensPerSecond, peakBytes: this.#peakBytes, curve: this.#curve };
  }

  /** Ends the process, and with a reason the turn that is under way. */
  end(reason?: Error): void {
    if (reason) this.#turn?.reject(reason);
    this.#turn = undefined;
    this.#child.kill();
  }

  #until(begin: () => void): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#turn = { resolve, reject };
      begin();
    });
  }

  #say(order: Order): void {
    this.#child.send(order);
  }

  #hear(told: Told): void {
    switch (told.told) {
      case 'here':
        this.#say({ order: 'start', options: this.#options });
        return;
      case 'waiting':
        this.#turn?.resolve(true);
        return;
      case 'done':
        this.#turn?.resolve(false);
        return;
      case 'failed':
        this.#turn?.reject(errorOf(told.error, `${this.name}: ${told.message}`));
        return;
      case 'update':
        this.#updates.push(told.seconds);
        return;
      case 'event':
        if (told.event.event === 'start') this.#start = told.event;
        else if (told.event.event === 'init') this.#before = told.event.seconds;
        else if (told.event.event === 'progress') this.#peakBytes = told.event.peakBytes;
        else if (told.event.event === 'step') this.#tokens += told.event.tokens;
        else if (told.event.event === 'eval') this.#curve.push(this.#point(told.event));
    }
  }

  #point({ step, perplexity }: EvalEvent): CurvePoint {
    return { step, perplexity, seconds: this.#updates.reduce((sum, seconds) => sum + seconds, this.#before) };
  }
}

/** What the tasks throw, as far as a comparison or its caller tells the kinds apart. */
const ERRORS: Readonly<Record<string, new (message: string) => Error>> = {
  DivergenceError,
  MemoryBudgetError,
  WorkerError,
  RangeError,
  TypeError,
};

function errorOf(name: string, message: string): Error {
  return new (ERRORS[name] ?? Error)(message);
}

/**
 * Runs fine-tunings side by side, by name, a few updates each in turn. A run that diverges gives its DivergenceError; whatever else
 * ends a run, or the signal, ends them all, and is thrown.
 */
export async function contest(
  runs: ReadonlyMap<string, FinetuneOptions>,
  signal?: AbortSignal,
): Promise<Map<string, RunResult | DivergenceError>> {
  const results = new Map<string, RunResult | DivergenceError>();
  const all: Contestant[] = [];
  const abort = (): void => all.forEach((contestant) => contestant.end(signal!.reason as Error));
  signal?.addEventListener('abort', abort);
  try {
    // One after the other: loading is not to be timed, but its peak of memory is.
    for (const [name, options] of runs) {
      signal?.throwIfAborted();
      const contestant = new Contestant(name, options);
      all.push(contestant);
      await contestant.start();
    }
    const planned = all.reduce((sum, contestant) => sum + contestant.plannedBytes, 0);
    if (planned > totalmem()) {
      throw new MemoryBudgetError(
        `${[...runs.keys()].join(', ')}: their plans together need ${megabytes(planned)}, but the machine has ${megabytes(totalmem())}. ` +
          'Fewer --methods at a time, or fewer tokens a batch, need less.',
      );
    }
    let running = [...all];
    while (running.length > 0) {
      const still: Contestant[] = [];
      for (const contestant of running) {
        signal?.throwIfAborted();
        const more = await contestant.turn().catch((error: unknown) => {
          if (!(error instanceof DivergenceError)) throw error;
          results.set(contestant.name, error);
          return false;
        });
        if (more) still.push(contestant);
        else if (!results.has(contestant.name)) results.set(contestant.name, contestant.result());
      }
      // Another one begins each round: whoever comes after an evaluation, or first, is not always the same.
      running = [...still.slice(1), ...still.slice(0, 1)];
    }
    return results;
  } finally {
    signal?.removeEventListener('abort', abort);
    for (const contestant of all) contestant.end();
  }
}
