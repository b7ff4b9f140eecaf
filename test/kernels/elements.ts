/** What the elements of a kernel's buffers are: f32 unless the parameter is named here. */
import type { KernelName } from '../../src/kernels/table.ts';
import { SIGNATURES } from '../../src/program/signatures.ts';
import type { Role } from '../../src/program/signatures.ts';

export type Elements = Float32Array | Float64Array | Uint32Array | Uint16Array | Uint8Array | Int32Array;
export type ElementKind = 'f32' | 'f64' | 'u32' | 'u16' | 'u8' | 'i32';

const NAMED: Readonly<Record<string, ElementKind>> = {
  starts: 'u32',
  rowPtr: 'u32',
  colPtr: 'u32',
  index: 'u8',
  indexT: 'u8',
  ids: 'u32',
  positions: 'u32',
  slots: 'u32',
  labels: 'i32',
  partials: 'f64',
  total: 'f64',
  bits: 'u32',
  words: 'u32',
};

export const CONSTRUCTORS = {
  f32: Float32Array,
  f64: Float64Array,
  u32: Uint32Array,
  u16: Uint16Array,
  u8: Uint8Array,
  i32: Int32Array,
} as const;

/** The kind of a pointer parameter's elements. `dtype` (0 is f32) decides for packed weights. */
export function kindOf(kernel: KernelName, parameter: string, dtype: number): ElementKind {
  if (parameter === 'values' || parameter === 'table') return dtype === 0 ? 'f32' : 'u16';
  if ((parameter === 'first' || parameter === 'last') && kernel.startsWith('attention')) return 'u32';
  return NAMED[parameter] ?? 'f32';
}

/** A kernel's parameters with their roles, in order. */
export function rolesOf(kernel: KernelName): [name: string, role: Role][] {
  return Object.entries(SIGNATURES[kernel]);
}

/** Whether a role is that of an address. */
export function isPointer(role: Role): boolean {
  return role === 'out' || role === 'in' || role === 'inout' || role === 'init' || role === 'maybe';
}

/** The oracle's copy of a buffer: f32 becomes f64. */
export function widened(data: Elements): Exclude<Elements, Float32Array> {
  return data instanceof Float32Array || data instanceof Float64Array ? Float64Array.from(data) : data.slice();
}
