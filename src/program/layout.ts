/** Where every value of a session's programs stands: pinned values once, activations of each program planned by liveness. */
import type { Constant } from '../core/constant.ts';
import { SCRATCH_BYTES } from '../kernels/table.ts';
import { ALIGNMENT, aligned, plan } from '../memory/plan.ts';
import type { Span } from '../memory/plan.ts';
import type { Program } from './program.ts';
import { touched } from './program.ts';
import type { Value } from './value.ts';

export interface Layout {
  readonly offsets: ReadonlyMap<Value, number>;
  /** Offset of the workers' scratch, SCRATCH_BYTES each. */
  readonly scratch: number;
  /** Bytes of the whole arena. */
  readonly bytes: number;
  /** Bytes of pinned values by kind, and of activations as planned (the largest program). */
  readonly pinned: Readonly<Record<string, number>>;
  readonly activations: number;
}

/**
 * First and last op that touches each activation of a program; throws where one is read before it is written. What is carried on lives
 * until the program's end; `there` are those that another program has left.
 */
export function lifetimes(program: Program, there?: { has(value: Value): boolean }): Map<Value, { first: number; last: number }> {
  const live = new Map<Value, { first: number; last: number }>();
  program.ops.forEach((op, i) => {
    const activations = touched(op).filter(({ value }) => value.kind === 'activation' || (value.kind === 'carried' && !there?.has(value)));
    const unwritten = activations.find(({ value, read }) => read && !live.has(value));
    if (unwritten) {
      throw new Error(`${program.name} op ${i} (${op.label}): reads ${unwritten.value.name} before anything writes it.`);
    }
    for (const { value } of activations) {
      live.set(value, { first: live.get(value)?.first ?? i, last: value.kind === 'carried' ? program.ops.length : i });
    }
  });
  return live;
}

/** The part of the arena that is taken already. */
export interface Occupied {
  /** Where free bytes begin. */
  readonly end: number;
  /** Where a constant stands, if it is in the arena. */
  addressOf(data: Constant): number | undefined;
}

const EMPTY: Occupied = { end: ALIGNMENT, addressOf: () => undefined };

/** Lays out programs that share pinned values and never run at the same time. Offset 0 stays free: as an argument it means "none". */
export function layOut(programs: readonly Program[], workers: number, occupied = EMPTY): Layout {
  const offsets = new Map<Value, number>();
  const pinned: Record<string, number> = {};
  const scratch = aligned(occupied.end);
  let end = scratch + workers * SCRATCH_BYTES;
  for (const program of programs) {
    for (const op of program.ops) {
      for (const { value } of touched(op)) {
        if (value.kind === 'activation' || value.kind === 'carried' || offsets.has(value)) continue;
        const there = value.data && occupied.addressOf(value.data);
        offsets.set(value, there ?? end);
        if (there === undefined) end += aligned(value.bytes);
        pinned[value.kind] = (pinned[value.kind] ?? 0) + aligned(value.bytes);
      }
    }
  }
  let activations = 0;
  for (const program of programs) {
    const live = [...lifetimes(program, offsets)];
    const planned = plan(live.map(([value, { first, last }]): Span => ({ bytes: value.bytes, first, last })));
    live.forEach(([value], i) => {
      if (offsets.has(value)) throw new Error(`${program.name}: activation ${value.name} belongs to another program.`);
      offsets.set(value, end + planned.offsets[i]!);
    });
    activations = Math.max(activations, planned.bytes);
  }
  return { offsets, scratch, bytes: end + activations, pinned, activations };
}
