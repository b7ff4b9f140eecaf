/**
 * LoRS (arXiv 2501.08582): y = ((W + s up down) * mask) x. The merged weight is scratch, made again for the backward
 * pass; only x is saved; no dense weight gradient exists.
 *
 *   gradient `lors`   dUp = s dY (down X)',  dDown = s (up' dY) X': the paper's, the mask left out
 *   gradient `exact`  H = (dY X') on the pattern,  dUp = s H down',  dDown = s up' H: the forward's own (SP-LoRA)
 *   gradient `scaled` H as in exact, through pseudo-inverses instead of transposes: dUp = s H down+,  dDown = s up+ H
 */
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Factors } from './factors.ts';
import { emitFactorGradients } from './lowRank.ts';
import { MergedLinear } from './mergedLinear.ts';
import { emitPseudoInverses } from './pseudoInverse.ts';
import type { AdapterRule, MergeRule } from './rule.ts';
import type { WeightOps } from './weightOps.ts';

export const ADAPTER_GRADIENTS = ['lors', 'exact', 'scaled'] as const;
export type AdapterGradient = (typeof ADAPTER_GRADIENTS)[number];

export class LorsLinear extends MergedLinear {
  readonly #gradient: AdapterGradient;

  constructor(name: string, ops: WeightOps, factors: Factors, gradient: AdapterGradient, merge?: MergeRule) {
    super(name, ops, factors, merge);
    this.#gradient = gradient;
  }

  merged(b: ProgramBuilder): Value {
    const { up, downT, padded, scaling } = this.factors;
    return this.ops.merged(b, up.value, downT.value, padded, scaling);
  }

  protected gradients(b: ProgramBuilder, dy: Value, x: Value): void {
    const { up, downT, padded, scaling } = this.factors;
    const through = this.#gradient === 'scaled' ? emitPseudoInverses(b, this.factors) : { up: up.value, downT: downT.value };
    // Without a mask the sampled gradient is all of dY X', and the reordered products, far cheaper, come to the same.
    if (this.#gradient === 'lors' || this.ops.weight.format === 'dense') {
      emitFactorGradients(b, this.factors, dy, x, this.outFeatures, this.inFeatures, through);
      return;
    }
    const h = this.ops.sampled(b, dy, x);
    this.ops.factorGradients(b, up.gradient, downT.gradient, h, through.up, through.downT, padded, scaling);
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
