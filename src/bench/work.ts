/** What an op costs by its definition: operations and bytes, for rates and for the roofline. */
import type { PackedWeight } from '../sparse/weight.ts';
import { indexBytes, packedBytes } from '../sparse/weight.ts';
import type { BenchRow } from './types.ts';
import type { Problem } from './problem.ts';

export type Op = BenchRow['op'];

/**
 * spmm: y = W x.  spmmT: dx = W' dy.  merge: (W + s up down) on the pattern.  sddmm: dy x' on the pattern.
 * step: a LoRS layer's forward and backward: both products, two merges, the factors' gradients.
 */
export const OPS = ['spmm', 'spmmT', 'merge', 'sddmm', 'step'] as const satisfies readonly Op[];

/** Operations (a multiply-add is two) when `kept` weights are there. */
export function flopsOf(op: Op, kept: number, { rows, cols, tokens, rank }: Problem): number {
  const product = 2 * kept * tokens;
  const merge = 2 * kept * rank;
  if (op === 'merge') return merge;
  // Down x, up' dy, and their products with dy and x.
  return op === 'step' ? 2 * (product + merge) + 4 * rank * (rows + cols) * tokens : product;
}

/** Bytes that must come from memory or go there at least once, were the caches endless: each operand and result once. */
export function bytesOf(op: Op, weight: PackedWeight, { rows, cols, tokens, rank }: Problem): number {
  const [inputs, outputs] = [tokens * cols * 4, tokens * rows * 4];
  const sampled = weight.values.length * 4;
  const factors = (rows + cols) * rank * 4;
  switch (op) {
    case 'spmm':
    case 'spmmT':
      return packedBytes(weight) + inputs + outputs;
    case 'merge':
      return packedBytes(weight) + factors + sampled;
    case 'sddmm':
      return indexBytes(weight) + inputs + outputs + sampled;
    case 'step':
      // x, y, dy and dx; the weight in each direction, for its own x and y are far apart in a model; factors and gradients.
      return 2 * (packedBytes(weight) + inputs + outputs) + 3 * factors;
  }
}
