/** A linear layer that does not train: y = W x. */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import type { WeightOps } from './weightOps.ts';

export class FrozenLinear implements LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #ops: WeightOps;

  constructor(name: string, ops: WeightOps) {
    this.name = name;
    this.inFeatures = ops.weight.cols;
    this.outFeatures = ops.weight.rows;
    this.#ops = ops;
  }

  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void {
    if (b.oneToken) this.#ops.multiplyToken(b, y, init, x);
    else this.#ops.multiply(b, y, init, x, this.#ops.plainValues(b));
  }

  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value): void {
    if (dx) this.#ops.multiplyT(b, dx, init, dy, this.#ops.plainValues(b));
  }
}
