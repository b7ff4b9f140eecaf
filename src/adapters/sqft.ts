/**
 * SQFT (arXiv 2410.03750, IntelLabs), its three parts.
 *
 *   SparsePEFT     W~ = W + s (up down) * mask, s = alpha / r, the gradient through autograd: the same function as SP-LoRA
 *   QA-SparsePEFT  W~ = the nearest points of a group-wise INT4 grid to that; the gradient passes straight through the
 *                  rounding, also where the grid ends, so it is the exact one of the merge at the rounded weight. What is
 *                  merged is on the grid that training computed with
 *   NLS            the factors are a super-adapter, of which each step trains the first ranks of each layer: their number is
 *                  drawn anew (train/nls.ts). s stays that of the whole rank, as in the authors' code
 *
 * As published the merged weight and the mask stay alive from forward to backward (`--merge keep`); the mask is the index
 * arrays here, which every method has for good.
 */
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Factors } from './factors.ts';
import { LorsLinear, SP_LORA } from './lors.ts';
import type { AdapterRule, MergeRule } from './rule.ts';
import type { WeightOps } from './weightOps.ts';

export class SqftLinear extends LorsLinear {
  readonly #grid: { readonly scales: Value; readonly zeros: Value; readonly size: number } | undefined;

  constructor(name: string, ops: WeightOps, factors: Factors, merge?: MergeRule) {
    super(name, ops, factors, 'exact', merge);
    const { grid } = factors;
    this.#grid = grid && { scales: ops.part('scales', grid.scales), zeros: ops.part('zeros', grid.zeros), size: grid.size };
  }

  override merged(b: ProgramBuilder): Value {
    const w = super.merged(b);
    if (this.#grid) this.ops.snap(b, w, this.#grid.scales, this.#grid.zeros, this.#grid.size);
    return w;
  }
}

export const SQFT: AdapterRule = {
  ...SP_LORA,
  elastic: true,
  quantizes: true,
  linear: (name, ops, factors, { merge }) => new SqftLinear(name, ops, factors, merge),
};
