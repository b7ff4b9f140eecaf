/**
 * LoRS (arXiv 2501.08582): y = ((W + s up down) * mask) x. The merged weight is scratch, made again for the backward
 * pass; only x is saved; no dense weight gradient exists.
 *
 *   gradient `lors`   dUp = s dY (down X)',  dDown = s (up' dY) X': the paper's, the mask left out
 *   gradient `exact`  H = (dY X') on the pattern,  dUp = s H down',  dDown = s up' H: the forward's own (SP-LoRA)
 */
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Factors } from './factors.ts';
import { live } from './factors.ts';
import { emitFactorGradients } from './lowRank.ts';
import { MergedLinear } from './mergedLinear.ts';
import type { AdapterRule, MergeRule } from './rule.ts';
import type { WeightOps } from './weightOps.ts';

export const ADAPTER_GRADIENTS = ['lors', 'exact'] as const;
export type AdapterGradient = (typeof ADAPTER_GRADIENTS)[number];

export class LorsLinear extends MergedLinear {
  readonly #gradient: AdapterGradient;

  constructor(name: string, ops: WeightOps, factors: Factors, gradient: AdapterGradient, merge?: MergeRule) {
    super(name, ops, factors, merge);
    // Without a mask the two gradients are the same, and the reordered one is far cheaper.
    this.#gradient = ops.weight.format === 'dense' ? 'lors' : gradient;
  }

  merged(b: ProgramBuilder): Value {
    const { up, downT, padded, scaling } = live(b, this.factors);
    return this.ops.merged(b, up.value, downT.value, padded, scaling);
  }

  protected gradients(b: ProgramBuilder, dy: Value, x: Value): void {
    const factors = live(b, this.factors);
    if (this.#gradient === 'lors') {
      emitFactorGradients(b, factors, dy, x, this.outFeatures, this.inFeatures);
      return;
    }
    const { up, downT, padded, scaling } = factors;
    const h = this.ops.sampled(b, dy, x);
    this.ops.factorGradients(b, up.gradient, downT.gradient, h, up.value, downT.value, padded, scaling);
  }
}

const MASKED = {
  keepsZeros: true,
  formula: 'W + scaling * mask * (up @ down)',
  peftType: 'LORS',
  upShape: 'rank',
  merges: true,
} as const;

export const LORS: AdapterRule = {
  ...MASKED,
  gradients: ADAPTER_GRADIENTS,
  linear: (name, ops, factors, { gradient = 'lors', merge }) => new LorsLinear(name, ops, factors, gradient, merge),
};

/** The same forward with the gradient that autograd finds (the LoRS paper's baseline; its repository's `sp_lora`). */
export const SP_LORA: AdapterRule = {
  ...MASKED,
  gradients: ['exact'],
  linear: (name, ops, factors, { merge }) => new LorsLinear(name, ops, factors, 'exact', merge),
};
