/**
 * Staged weights: those of a model larger than the arena live outside it and come in for each use.
 *
 * A run of ops that use one packed weight gets activations of its own in the place of the weight's arrays. `arrive` stands
 * before the run's first use; `fetch` stands right after the arrival of the weight before, so that it travels while that
 * one is computed with. Liveness does the rest: two weights are in the arena at once, wherever there is room.
 */
import type { KernelOp, Op, StagedPart } from './program.ts';
import { touched } from './program.ts';
import type { Ref, Value } from './value.ts';
import { at, offsetOf, valueOf } from './value.ts';

/** Puts fetches and arrivals among the ops; ops without staged weights stay as they are. */
export function stageWeights(ops: readonly KernelOp[]): readonly Op[] {
  const out: Op[] = [];
  let unit: object | undefined;
  let copies = new Map<Value, Value>();
  /** Where the fetch of the next weight goes. */
  let fetchAt = 0;
  let parts: StagedPart[] = [];
  for (const op of ops) {
    const staged = touched(op).filter(({ value }) => value.kind === 'staged');
    for (const { value } of staged) {
      if (value.unit !== unit) {
        unit = value.unit;
        copies = new Map();
        parts = [];
        const { label } = op;
        out.splice(fetchAt, 0, { stage: 'fetch', parts, label });
        out.push({ stage: 'arrive', parts, label });
        fetchAt = out.length;
      }
      if (copies.has(value)) continue;
      const copy: Value = { name: value.name, bytes: value.bytes, kind: 'activation' };
      copies.set(value, copy);
      parts.push({ from: value.data!, to: copy });
    }
    out.push(staged.length === 0 ? op : { ...op, args: replaced(op.args, copies) });
  }
  return out;
}

function replaced(args: KernelOp['args'], copies: ReadonlyMap<Value, Value>): KernelOp['args'] {
  return Object.fromEntries(
    Object.entries(args).map(([name, argument]): [string, KernelOp['args'][string]] => {
      if (typeof argument === 'number' || 'of' in argument) return [name, argument];
      const copy = copies.get(valueOf(argument));
      return [name, copy ? moved(argument, copy) : argument];
    }),
  );
}

function moved(ref: Ref, to: Value): Ref {
  return offsetOf(ref) === 0 ? to : at(to, offsetOf(ref));
}
