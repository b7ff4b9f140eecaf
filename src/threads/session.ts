/** A session on threads, whoever starts them: piscina in Node (pool.ts), Web Workers in a page (web.ts). */
import { WorkerError } from '../core/errors.ts';
import { nameOf } from '../program/encode.ts';
import type { Counts, Program } from '../program/program.ts';
import { HOST, READY, STAGED, STOP, callOff, command, createControl, stepOf } from './control.ts';
import { fetchMeanwhile } from '../runtime/fetch.ts';
import type { SessionOptions, Sessions } from '../runtime/session.ts';
import { Session, planOf } from '../runtime/session.ts';
import type { WorkerMessage, WorkerTask } from './worker.ts';

/** Those who start threads, and end them. */
export interface Crew {
  /** Gives a new thread its one task (worker.ts). Resolves when that has ended; rejects where it failed, or the thread died. */
  start(task: WorkerTask, transfer: MessagePort[]): Promise<void>;
  end(): Promise<void>;
}

export class ThreadedSession extends Session {
  readonly threads: number;
  readonly #names: readonly string[];
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #crew: Crew;
  readonly #port: MessagePort;
  #running: { readonly program: string; readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  /** The fetches of a run follow one another. */
  #fetching: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #closed = false;

  /** The crew comes once the plan is known to fit: what is refused starts no thread. */
  constructor(programs: readonly Program[], options: SessionOptions, threads: number, gather: () => Crew) {
    super(programs, options, threads, true);
    this.threads = threads;
    this.#names = [...this.encoded.keys()];
    this.#control = createControl(threads);
    this.#crew = gather();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#heard(data);
    for (let me = 0; me < threads; me++) {
      const task: WorkerTask = {
        me,
        workers: threads,
        module: options.module,
        memory: this.arena.memory,
        control: this.#control,
        scratch: this.layout.scratch,
        programs: this.#names.map((name) => this.encoded.get(name)!.steps),
        ...(me === 0 && { port: port2 }),
      };
      this.#crew.start(task, me === 0 ? [port2] : []).catch((error: unknown) => this.#fail(this.#worded(me, error)));
    }
  }

  async ready(): Promise<void> {
    while (!this.#failure && !this.#closed && Atomics.load(this.#control, READY) < this.threads)
      await new Promise((resolve) => setTimeout(resolve, 2));
    if (this.#failure) throw this.#failure;
  }

  /** Runs a program on all threads; this one stays free. Throws WorkerError where a thread fails or dies. */
  run(name: string, counts: Counts): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(new TypeError('session: expected an open one, got one that was closed.'));
    if (this.#running) return Promise.reject(new TypeError('session: expected one program at a time.'));
    this.program(name);
    return new Promise((resolve, reject) => {
      this.#running = { program: name, resolve, reject };
      const { tokens, tiles, labelled, labelTiles } = counts;
      command(this.#control, this.#names.indexOf(name), [tokens, tiles, labelled, labelTiles]);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running) this.#fail(new WorkerError('The session was closed while a program ran.'));
    command(this.#control, STOP);
    callOff(this.#control, HOST);
    this.#port.close();
    await this.#crew.end();
  }

  #heard(message: WorkerMessage): void {
    if (message !== 'done') {
      this.#fetching = this.#fetching.then(() => this.#fetch(message.fetch));
      return;
    }
    const running = this.#running;
    this.#running = undefined;
    running?.resolve();
  }

  async #fetch(number: number): Promise<void> {
    if (this.#failure || !this.#running) return;
    try {
      await fetchMeanwhile(this.program(this.#running.program).fetches[number]!, this.arena);
      Atomics.add(this.#control, STAGED, 1);
      Atomics.notify(this.#control, STAGED);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** The first failure ends the run and the session. */
  #fail(error: Error): void {
    if (this.#closed && !this.#running) return;
    this.#failure ??= error;
    callOff(this.#control, HOST);
    const running = this.#running;
    this.#running = undefined;
    running?.reject(this.#failure);
  }

  #worded(worker: number, error: unknown): WorkerError {
    const why = error instanceof Error ? error.message : String(error);
    const step = this.#running && this.program(this.#running.program).steps[Atomics.load(this.#control, stepOf(worker))];
    const where = step ? `op ${Atomics.load(this.#control, stepOf(worker))} ${nameOf(step)}` : 'a worker thread';
    return new WorkerError(`${where} failed in worker ${worker}: ${why}`, { cause: error });
  }
}

/** Sessions that `open` opens, on so many threads. */
export function threadedSessions(options: SessionOptions, threads: number, open: Sessions['open']): Sessions {
  return {
    open,
    fits: (programs) => {
      const { layout, most } = planOf(programs, options, threads);
      return layout.bytes <= most;
    },
  };
}
