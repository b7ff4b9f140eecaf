/**
 * LoRS (arXiv 2501.08582): y = ((W + s up down) * mask) x. The merged weight is scratch, made again for the backward
 * pass; only x is saved; no dense weight gradient exists.
 *
 *   gradient `lors`   dUp = s dY (down X)',  dDown = s (up' dY) X': the paper's, the mask left out
 *   gradient `exact`  H = (dY X') on the pattern,  dUp = s H down',  dDown = s up' H: the forward's own (SP-LoRA)
 */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import type { Factors } from './factors.ts';
import { emitFactorGradients } from './lowRank.ts';
import type { WeightOps } from './weightOps.ts';

export type AdapterGradient = 'lors' | 'exact';

export class LorsLinear implements LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #ops: WeightOps;
  readonly #factors: Factors;
  readonly #gradient: AdapterGradient;

  constructor(name: string, ops: WeightOps, factors: Factors, gradient: AdapterGradient) {
    this.name = name;
    this.inFeatures = ops.weight.cols;
    this.outFeatures = ops.weight.rows;
    this.#ops = ops;
    this.#factors = factors;
    // Without a mask the two gradients are the same, and the reordered one is far cheaper.
    this.#gradient = ops.weight.format === 'dense' ? 'lors' : gradient;
  }

  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void {
    this.#ops.multiply(b, y, init, x, this.#merged(b));
  }

  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void {
    if (dx) this.#ops.multiplyT(b, dx, init, dy, this.#merged(b));
    if (this.#gradient === 'lors') {
      emitFactorGradients(b, this.#factors, dy, x, this.outFeatures, this.inFeatures);
      return;
    }
    const { up, downT, padded, scaling } = this.#factors;
    const h = b.scratch('sampled gradient', this.#ops.length * 4);
    this.#ops.sample(b, h, 0, dy, x);
    this.#ops.factorGradients(b, up.gradient, downT.gradient, h, up.value, downT.value, padded, scaling);
  }

  #merged(b: ProgramBuilder): Value {
    const { up, downT, padded, scaling } = this.#factors;
    return this.#ops.merged(b, up.value, downT.value, padded, scaling);
  }
}
