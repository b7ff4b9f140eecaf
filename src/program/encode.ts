/** From ops over values to steps over addresses: what workers walk. Steps are plain data, so that they can be posted. */
import type { Constant } from '../core/constant.ts';
import type { KernelName } from '../kernels/table.ts';
import type { Layout } from './layout.ts';
import type { KernelOp, Program, StageOp, Units } from './program.ts';
import { perTile } from './program.ts';
import { SIGNATURES } from './signatures.ts';
import { offsetOf, valueOf } from './value.ts';

/** A kernel over addresses. */
export interface KernelStep {
  readonly kernel: KernelName;
  readonly units: Units;
  readonly label: string;
  /** Positional arguments without `begin, end`; those in `late` are filled in when the step runs. */
  readonly args: number[];
  readonly late: readonly Late[];
}

/** Begins the n-th fetch of the program, or waits until it has arrived. */
export interface StageStep {
  readonly stage: 'fetch' | 'arrive';
  readonly fetch: number;
  readonly label: string;
}

export type Step = KernelStep | StageStep;

/** What a fetch brings, and where to. */
export type Fetch = readonly { readonly from: Constant; readonly address: number }[];

/** An argument that only the batch, or the worker, decides: a count of units, all tokens, or the worker's scratch. */
export type Late = { readonly position: number; readonly value: Units | 'tokens' | 'scratch' };

/** Encodes a program for a layout. */
export function encode(program: Program, layout: Layout): { readonly steps: Step[]; readonly fetches: Fetch[] } {
  const fetches: Fetch[] = [];
  const numbers = new Map<StageOp['parts'], number>();
  const steps = program.ops.map((op): Step => {
    if (!('stage' in op)) return encodeKernel(program.name, op, layout);
    if (op.stage === 'fetch') {
      numbers.set(op.parts, fetches.length);
      fetches.push(op.parts.map(({ from, to }) => ({ from, address: layout.offsets.get(to)! })));
    }
    return { stage: op.stage, fetch: numbers.get(op.parts)!, label: op.label };
  });
  return { steps, fetches };
}

/** What a step is called in messages: `spmmQuad (layers.3.mlp.up_proj)`. */
export function nameOf(step: Step): string {
  return `${'stage' in step ? step.stage : step.kernel} (${step.label})`;
}

function encodeKernel(program: string, op: KernelOp, layout: Layout): KernelStep {
  const late: Late[] = [];
  const args = Object.entries(SIGNATURES[op.kernel]).map(([name, role], position) => {
    const argument = op.args[name];
    if (role === 'tiles' || role === 'tokens' || role === 'scratch') {
      late.push({ position, value: role === 'tiles' ? ((argument as Units | undefined) ?? perTile()) : role });
      return 0;
    }
    if (argument === undefined || (typeof argument === 'object' && 'of' in argument)) {
      throw new TypeError(`${program} ${op.kernel} (${op.label}): argument ${name} is missing.`);
    }
    if (typeof argument === 'number') return argument;
    return layout.offsets.get(valueOf(argument))! + offsetOf(argument);
  });
  return { kernel: op.kernel, units: op.units, label: op.label, args, late };
}
