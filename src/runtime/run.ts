/** The interpreter: every worker walks the same steps, each on its own share of a step's units. */
import type { Kernels } from '../kernels/table.ts';
import type { StageStep, Step } from '../program/encode.ts';
import type { Counts } from '../program/program.ts';
import { unitsIn } from '../program/program.ts';

/** One of those who walk. */
export interface Walker {
  /** The address of its own scratch. */
  readonly scratch: number;
  /**
   * Calls `take` for each run of units that this walker is to do. Every unit goes to exactly one walker, and an output
   * belongs to one unit, so that results do not depend on who takes what.
   */
  readonly share: (units: number, take: (begin: number, end: number) => void) => void;
  /** Waits until every worker has finished step `i`. */
  readonly barrier: (i: number) => void;
  /** Begins a fetch, or waits for one. */
  readonly stage: (step: StageStep) => void;
}

/** Runs steps. What only the batch or the walker decides is written into the step's own arguments. */
export function run(steps: readonly Step[], kernels: Kernels, counts: Counts, walker: Walker): void {
  const { scratch, share, barrier } = walker;
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!;
    if ('stage' in step) {
      walker.stage(step);
      continue;
    }
    const units = unitsIn(step.units, counts);
    if (units > 0) {
      const { args } = step;
      for (const { position, value } of step.late) {
        args[position] = value === 'tokens' ? counts.tokens : value === 'scratch' ? scratch : unitsIn(value, counts);
      }
      // Kernels differ in how many numbers they take; the encoder has matched them to the signatures.
      const kernel: (...args: number[]) => void = kernels[step.kernel];
      share(units, (begin, end) => kernel(...args, begin, end));
    }
    barrier(i);
  }
}
