/** The kernels as TypeScript sees them: typed by the declarations that the compiler writes from assembly/index.ts. */
import type { instantiate } from '../../build/plain.js';

export type Kernels = Awaited<ReturnType<typeof instantiate>>;
export type KernelName = keyof Kernels;

/** Tokens in a tile: the lanes of every activation buffer, [tiles][features][TILE]. */
export const TILE = 16;
/** Floats of a chunk: the unit in which flat runs of parameters are updated and summed. */
export const CHUNK = 256;
/** Bytes of a worker's own scratch: 30720 inputs as the dense product of one token spreads them, which is the most that a kernel asks for. */
export const SCRATCH_BYTES = 30720 * 8;

/** Element types as kernels take them. */
export const DTYPE_CODE = { F32: 0, F16: 1, BF16: 2 } as const;
