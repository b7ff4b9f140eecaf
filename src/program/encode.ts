/** From ops over values to steps over addresses: what workers walk. Steps are plain data, so that they can be posted. */
import type { KernelName } from '../kernels/table.ts';
import type { Layout } from './layout.ts';
import type { Program, Units } from './program.ts';
import { perTile } from './program.ts';
import { SIGNATURES } from './signatures.ts';
import { offsetOf, valueOf } from './value.ts';

export interface Step {
  readonly kernel: KernelName;
  readonly units: Units;
  readonly label: string;
  /** Positional arguments without `begin, end`; those in `late` are filled in when the step runs. */
  readonly args: readonly number[];
  readonly late: readonly Late[];
}

/** An argument that only the batch, or the worker, decides: a count of units, all tokens, or the worker's scratch. */
export type Late = { readonly position: number; readonly value: Units | 'tokens' | 'scratch' };

/** Encodes a program for a layout. */
export function encode(program: Program, layout: Layout): Step[] {
  return program.ops.map((op) => {
    const late: Late[] = [];
    const args = Object.entries(SIGNATURES[op.kernel]).map(([name, role], position) => {
      const argument = op.args[name];
      if (role === 'tiles' || role === 'tokens' || role === 'scratch') {
        late.push({ position, value: role === 'tiles' ? ((argument as Units | undefined) ?? perTile()) : role });
        return 0;
      }
      if (argument === undefined || (typeof argument === 'object' && 'of' in argument)) {
        throw new TypeError(`${program.name} ${op.kernel} (${op.label}): argument ${name} is missing.`);
      }
      if (typeof argument === 'number') return argument;
      return layout.offsets.get(valueOf(argument))! + offsetOf(argument);
    });
    return { kernel: op.kernel, units: op.units, label: op.label, args, late };
  });
}
