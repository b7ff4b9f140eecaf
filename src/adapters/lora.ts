/** LoRA (arXiv 2106.09685): y = W x + s up (down x). Trains a dense update; merging it would fill the zeros of W. */
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import type { Factors } from './factors.ts';
import { emitFactorGradients } from './lowRank.ts';
import type { AdapterLinear, AdapterRule } from './rule.ts';
import type { WeightOps } from './weightOps.ts';

export class LoraLinear implements AdapterLinear {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #ops: WeightOps;
  readonly #factors: Factors;

  constructor(name: string, ops: WeightOps, factors: Factors) {
    this.name = name;
    this.inFeatures = ops.weight.cols;
    this.outFeatures = ops.weight.rows;
    this.#ops = ops;
    this.#factors = factors;
  }

  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void {
    const { up, downT, padded: rank, scaling } = this.#factors;
    const z = b.activation('down x', rank);
    this.#ops.multiply(b, y, init, x, this.#ops.plainValues(b));
    b.emit('project', perTile(), { z, x, factor: downT.value, N: this.inFeatures, rank, scaling });
    b.emit('expand', perTile(), { y, z, factor: up.value, N: this.outFeatures, rank });
  }

  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void {
    const u = emitFactorGradients(b, this.#factors, dy, x, this.outFeatures, this.inFeatures);
    if (!dx) return;
    this.#ops.multiplyT(b, dx, init, dy, this.#ops.plainValues(b));
    const { downT, padded: rank } = this.#factors;
    b.emit('expand', perTile(), { y: dx, z: u, factor: downT.value, N: this.inFeatures, rank });
  }
  /** W + s up down: of a dense weight all of it, of a sparse one what falls on the pattern. */
  merged(b: ProgramBuilder): Value {
    const { up, downT, padded, scaling } = this.#factors;
    return this.#ops.merged(b, up.value, downT.value, padded, scaling);
  }
}

export const LORA: AdapterRule = {
  keepsZeros: false,
  formula: 'W + scaling * (up @ down)',
  peftType: 'LORA',
  upShape: 'rank',
  gradients: ['exact'],
  merges: false,
  linear: (name, ops, factors) => new LoraLinear(name, ops, factors),
};
