/** Instantiates kernels on a memory: the one file that does. */
import { instantiateSync } from '@assemblyscript/loader';
import { UnsupportedError } from '../core/errors.ts';
import type { Flavour } from '../core/flavour.ts';
import type { Kernels } from './table.ts';

/**
 * A function of one `f32x4.relaxed_madd`, for validation only:
 * (module (func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd))
 */
const RELAXED_PROBE = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  8,
  1,
  96,
  3,
  123,
  123,
  123,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  13,
  1,
  11,
  0,
  32,
  0,
  32,
  1,
  32,
  2,
  253,
  133,
  2,
  11,
);

/** The fastest flavour that this host validates. */
export function probeFlavour(): Flavour {
  return WebAssembly.validate(RELAXED_PROBE) ? 'relaxed' : 'plain';
}

/** The kernels of a compiled module, working on `memory`. */
export function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return instantiateSync<Kernels & Record<string, unknown>>(module, { env: { memory } }).exports;
}

/** Whether a kernel rounds a product before it adds it, or once after: what relaxed SIMD leaves to the host. */
export type Arithmetic = 'rounded' | 'fused';

/** What the kernels of a module do on this host: (1 + e)^2 - (1 + 2e) is e^2 where the product is not rounded, else 0. */
export function probeArithmetic(module: WebAssembly.Module, shared: boolean): Arithmetic {
  const memory = createMemory(1, shared);
  const [z, x, factor] = [1024, 2048, 3072];
  const e = 2 ** -12;
  const floats = new Float32Array(memory.buffer);
  floats.fill(-1 - 2 * e, x / 4, x / 4 + 16).fill(1 + e, x / 4 + 16, x / 4 + 32);
  floats.fill(1, factor / 4, factor / 4 + 4).fill(1 + e, factor / 4 + 4, factor / 4 + 8);
  // z = factor' x over two inputs, at rank 4, for one tile.
  instantiateKernels(module, memory).project(z, x, factor, 2, 4, 1, 0, 1);
  return floats[z / 4] === 0 ? 'rounded' : 'fused';
}

/** A memory of at least `bytes`. A shared one can be walked by several workers. */
export function createMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = Math.max(1, Math.ceil(bytes / 65536));
  if (pages > 65536) throw new UnsupportedError(`memory: expected at most 4 GiB, got ${bytes} bytes.`);
  return new WebAssembly.Memory({ initial: pages, maximum: 65536, shared });
}
