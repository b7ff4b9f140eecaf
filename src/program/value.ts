/** Values: the named regions of the arena that ops read and write. Only the planner knows where they are. */
import type { Constant } from '../core/constant.ts';

/**
 * What a value is for. All but activations and what is carried are pinned: they keep their bytes for the life of a session.
 * input: written by the host for each batch;  weight: written once;  output: read by the host;
 * parameter, gradient, state: what training changes;  staged: a weight that is fetched for each use (program/stage.ts);
 * carried: what one program leaves for those that run right after it, which have no activations of their own, as it stands among its.
 */
export type ValueKind = 'input' | 'weight' | 'staged' | 'parameter' | 'gradient' | 'state' | 'output' | 'carried' | 'activation';

export interface Value {
  readonly name: string;
  readonly bytes: number;
  readonly kind: ValueKind;
  /** A constant's bytes; where they stand in the session's arena already, they are not copied. */
  readonly data?: Constant;
  /** Writes what the value starts with, when a session is opened; zeros when there are neither. */
  readonly source?: (into: Float32Array) => void;
  /** What a staged value is fetched together with: the arrays of one packed weight. */
  readonly unit?: object;
}

/** A part of a value, from a byte offset on. */
export interface View {
  readonly value: Value;
  readonly offset: number;
}

export type Ref = Value | View;

/** A view from a byte offset on. */
export function at(ref: Ref, offset: number): View {
  return 'value' in ref ? { value: ref.value, offset: ref.offset + offset } : { value: ref, offset };
}

/** The value that a reference is a part of. */
export function valueOf(ref: Ref): Value {
  return 'value' in ref ? ref.value : ref;
}

/** The byte offset of a reference in its value. */
export function offsetOf(ref: Ref): number {
  return 'value' in ref ? ref.offset : 0;
}

/** A constant of the session, or of each use where it is fetched with the rest of `unit`. */
export function constant(name: string, data: Constant, unit?: object): Value {
  return { name, bytes: data.byteLength, kind: unit ? 'staged' : 'weight', data, ...(unit && { unit }) };
}
