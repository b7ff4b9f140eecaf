/**
 * Packed weights: the kept values of a matrix W [rows, cols] (out x in) and where they stand. There is no mask tensor:
 * the index arrays are the pattern, and a kept value that is exactly zero stays kept.
 */
import type { RemoteBytes } from '../core/constant.ts';
import type { WeightArray, WeightDtype } from '../core/dtypes.ts';
import type { BlockName } from './block.ts';

interface Packed {
  readonly rows: number;
  readonly cols: number;
  readonly dtype: WeightDtype;
  /** Kept values, in the order of the format. */
  readonly values: WeightArray;
  /** How many values are kept. */
  readonly kept: number;
  /** The pattern as people name it: `2:4`, `4x1`, `unstructured` or `dense`. */
  readonly pattern: string;
  /** The arrays are fetched into the arena for each use: the model is larger than it. */
  readonly staged?: boolean;
  /** Where the arrays are when they are not in memory; reading a field then reads its file. */
  readonly remote?: Readonly<Record<string, RemoteBytes>>;
}

/** Pattern-bucketed quads (layout: assembly/quad.ts): 2:4 masks, and those that keep many. */
export interface QuadWeight extends Packed {
  readonly format: 'quad';
  readonly starts: Uint32Array;
  readonly index: Uint8Array;
}

/** Column-blocked CSR (layout: assembly/csr.ts): masks that keep few (choose.ts). */
export interface CsrWeight extends Packed {
  readonly format: 'csr';
  readonly rowPtr: Uint32Array;
  readonly index: Uint8Array;
}

/** Blocks of 4x1, 16x1, 4x4 or 1x4 (layout: assembly/block.ts) that are kept or pruned whole. */
export interface BlockWeight extends Packed {
  readonly format: 'block';
  readonly block: BlockName;
  readonly starts: Uint32Array;
  readonly index: Uint8Array;
}

/**
 * Panels of four rows (layout: assembly/dense.ts). The last panel is padded with zeros. Nothing is pruned, or the weight is for one token at
 * a time and what is pruned is a zero like any other: nothing is trained on it or merged into it that would keep its mask.
 */
export interface DenseWeight extends Packed {
  readonly format: 'dense';
}

export type PackedWeight = QuadWeight | CsrWeight | BlockWeight | DenseWeight;

/** Whether the mask, if there is one, is in the format: what is added to the weight then keeps pruned zeros. */
export function isWhole({ format, pattern }: PackedWeight): boolean {
  return format !== 'dense' || pattern === 'dense';
}

/** Two of every four: quads then have one loop, of the kind that suits them best, and win on every flavour. */
export const TWO_OF_FOUR: readonly string[] = ['2:4', '1:2'];

/** Whether every row keeps two of each four inputs, no more and no fewer: kernels have loops for it. */
export function keepsPairs({ pattern, kept, rows, cols }: PackedWeight): boolean {
  return TWO_OF_FOUR.includes(pattern) && cols % 4 === 0 && kept * 2 === rows * cols;
}

/** Bytes of all arrays. */
export function packedBytes(weight: PackedWeight): number {
  return weight.values.byteLength + indexBytes(weight);
}

/** Bytes of the index arrays: what the pattern costs beside the values. */
export function indexBytes(weight: PackedWeight): number {
  if (weight.format === 'quad' || weight.format === 'block') return weight.starts.byteLength + weight.index.byteLength;
  if (weight.format === 'csr') return weight.rowPtr.byteLength + weight.index.byteLength;
  return 0;
}
