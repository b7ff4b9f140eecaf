/** The interpreter: every worker walks the same steps, each on its own share of a step's units. */
import type { Kernels } from '../kernels/table.ts';
import { SCRATCH_BYTES } from '../kernels/table.ts';
import type { StageStep, Step } from '../program/encode.ts';
import type { Counts } from '../program/program.ts';
import { unitsIn } from '../program/program.ts';

/** Who walks: worker `me` of `workers`, with the address of all workers' scratch. */
export interface Walker {
  readonly me: number;
  readonly workers: number;
  readonly scratch: number;
  /** Waits until every worker has finished step `i`. */
  readonly barrier: (i: number) => void;
  /** Begins a fetch, or waits for one. */
  readonly stage: (step: StageStep) => void;
}

/** Runs steps. Units are shared out in contiguous runs, so that who owns an output depends on nothing else. */
export function run(steps: readonly Step[], kernels: Kernels, counts: Counts, walker: Walker): void {
  const { me, workers, barrier } = walker;
  const scratch = walker.scratch + me * SCRATCH_BYTES;
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!;
    if ('stage' in step) {
      walker.stage(step);
      continue;
    }
    const units = unitsIn(step.units, counts);
    const begin = Math.floor((units * me) / workers);
    const end = Math.floor((units * (me + 1)) / workers);
    if (begin < end) {
      const args = step.args.slice();
      for (const { position, value } of step.late) {
        args[position] = value === 'tokens' ? counts.tokens : value === 'scratch' ? scratch : unitsIn(value, counts);
      }
      // Kernels differ in how many numbers they take; the encoder has matched them to the signatures.
      const kernel: (...args: number[]) => void = kernels[step.kernel];
      kernel(...args, begin, end);
    }
    barrier(i);
  }
}
