/** What a thread, of Node or of a page, does for the life of a session: waits for a command, walks a program, says when it is done. */
import { instantiateKernels } from '../kernels/load.ts';
import { SCRATCH_BYTES } from '../kernels/table.ts';
import type { StageStep, Step } from '../program/encode.ts';
import { COMMAND, EPOCH, READY, STAGED, STOP, Stopped, callOff, countsOf, meet, share, stepOf, whileIs } from './control.ts';
import type { Walker } from '../runtime/run.ts';
import { run } from '../runtime/run.ts';

export interface WorkerTask {
  readonly me: number;
  readonly workers: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array;
  readonly scratch: number;
  readonly programs: readonly (readonly Step[])[];
  /** The first worker's line to the host. */
  readonly port?: MessagePort;
}

/** The first worker asks for fetches, and says when all have finished a program. */
export type WorkerMessage = { readonly fetch: number } | 'done';

/** Returns when the host says so, or when another worker has failed; throws what this one fails of. */
export default function work(task: WorkerTask): void {
  const { me, workers, control, port } = task;
  const kernels = instantiateKernels(task.module, task.memory);
  const at = stepOf(me);
  const walker: Walker = {
    scratch: task.scratch + me * SCRATCH_BYTES,
    share: (units, take) => share(control, workers, units, take),
    barrier: (i: number): void => {
      meet(control, workers);
      Atomics.store(control, at, i + 1);
    },
    stage: ({ stage, fetch }: StageStep): void => {
      if (stage === 'fetch') port?.postMessage({ fetch } satisfies WorkerMessage);
      else for (let arrived = 0; (arrived = Atomics.load(control, STAGED)) <= fetch;) whileIs(control, STAGED, arrived);
    },
  };
  Atomics.add(control, READY, 1);
  try {
    for (let epoch = 0; ; epoch++) {
      whileIs(control, EPOCH, epoch);
      const program = control[COMMAND]!;
      if (program === STOP) return;
      const [tokens, tiles, labelled, labelTiles] = countsOf(control);
      Atomics.store(control, at, 0);
      run(task.programs[program]!, kernels, { tokens, tiles, labelled, labelTiles }, walker);
      port?.postMessage('done' satisfies WorkerMessage);
    }
  } catch (error) {
    if (error instanceof Stopped) return;
    callOff(control, me + 1);
    throw error;
  }
}
