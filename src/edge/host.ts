/** Where programs run: here, to the end, or wherever who has threads lets them; and how much memory they may take. */
import type { LlamaModel } from '../models/model.ts';
import { localSessions } from '../runtime/local.ts';
import type { SessionOptions, Sessions } from '../runtime/session.ts';
import type { EdgeKernels, WasmInput } from './kernels.ts';
import { compileKernels } from './kernels.ts';
import type { MemoryParts } from './memory.ts';
import { besides, heldBy, leftOf } from './memory.ts';

/** What opens sessions, for who has threads of its own. */
export interface Runner {
  /** Shared memory needs the kernels that are built for it (plain-shared.wasm, relaxed-shared.wasm). */
  readonly memory: 'local' | 'shared';
  readonly sessions: (options: SessionOptions) => Sessions;
}

export interface HostOptions {
  readonly wasm: WasmInput;
  /** Most bytes that may be taken, all in all: what needs more is refused before it is begun. A Worker has 128 MB. */
  readonly memoryBytes?: number | undefined;
  /** Runs on the calling thread when absent. */
  readonly runner?: Runner | undefined;
}

const HERE: Runner = { memory: 'local', sessions: localSessions };

export class Host {
  readonly kernels: EdgeKernels;
  readonly memory: Runner['memory'];
  readonly memoryBytes: number | undefined;
  readonly #sessions: Runner['sessions'];

  private constructor(kernels: EdgeKernels, { memoryBytes, runner = HERE }: HostOptions) {
    this.kernels = kernels;
    this.memory = runner.memory;
    this.memoryBytes = memoryBytes;
    this.#sessions = runner.sessions;
  }

  /** Compiles the kernels. Throws as compileKernels. */
  static async open(options: HostOptions): Promise<Host> {
    return new Host(await compileKernels(options.wasm, options.runner?.memory), options);
  }

  /**
   * Sessions in what is left beside a model and `others`. They refuse, with MemoryBudgetError, a plan that is larger; this
   * throws it at once where nothing is left.
   */
  sessions(what: string, model: LlamaModel, others: MemoryParts = {}): Sessions {
    const { memoryBytes } = this;
    const parts = { ...heldBy(model), ...others };
    const inner = this.#sessions({ module: this.kernels.module, memoryBytes: leftOf(memoryBytes, what, parts) });
    return {
      fits: (programs) => inner.fits(programs),
      open: (programs) => {
        try {
          return inner.open(programs);
        } catch (error) {
          throw besides(error, memoryBytes, parts);
        }
      },
    };
  }
}
