/** A session that runs where it is called, to the end: one worker, no threads. */
import { instantiateKernels } from '../kernels/load.ts';
import type { Kernels } from '../kernels/table.ts';
import type { Counts, Program } from '../program/program.ts';
import { fetchNow } from './fetch.ts';
import { run } from './run.ts';
import type { SessionOptions, Sessions } from './session.ts';
import { ALONE, Session, planOf } from './session.ts';

export class LocalSession extends Session {
  readonly #kernels: Kernels;

  constructor(programs: readonly Program[], options: SessionOptions) {
    super(programs, options, 1, false);
    this.#kernels = instantiateKernels(options.module, this.arena.memory);
  }

  ready(): void {
    // There is nothing to wait for.
  }

  run(name: string, counts: Counts): void {
    const { steps, fetches } = this.program(name);
    run(steps, this.#kernels, counts, { ...ALONE, scratch: this.layout.scratch, stage: fetchNow(fetches, this.arena) });
  }

  close(): void {
    // Nothing to give back.
  }
}

/** Sessions that run where they are called. */
export function localSessions(options: SessionOptions): Sessions {
  return {
    open: (programs) => new LocalSession(programs, options),
    fits: (programs) => {
      const { layout, most } = planOf(programs, options, 1);
      return layout.bytes <= most;
    },
  };
}
