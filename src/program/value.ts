/** Values: the named regions of the arena that ops read and write. Only the planner knows where they are. */

/**
 * What a value is for. All but activations are pinned: they keep their bytes for the life of a session.
 * input: written by the host for each batch;  weight: written once;  output: read by the host;
 * parameter, gradient, state: what training changes.
 */
export type ValueKind = 'input' | 'weight' | 'parameter' | 'gradient' | 'state' | 'output' | 'activation';

export interface Value {
  readonly name: string;
  readonly bytes: number;
  readonly kind: ValueKind;
  /** Bytes that the value starts with, fetched when a session is made; zeros when absent. */
  readonly source?: () => ArrayBufferView;
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

/** A constant of the session. */
export function pinned(name: string, data: ArrayBufferView): Value {
  return { name, bytes: data.byteLength, kind: 'weight', source: () => data };
}
