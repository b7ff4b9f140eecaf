/** Full training: every kept weight is a parameter; its gradient is the sampled product, so the zeros stay zero. */
import { decodeWeights } from '../core/dtypes.ts';
import type { LinearLayer } from '../program/linear.ts';
import type { Parameter, ParameterStore } from '../program/parameters.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { WeightOps } from './weightOps.ts';

export class FullLinear implements LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly parameter: Parameter;
  readonly #ops: WeightOps;

  constructor(store: ParameterStore, name: string, weight: PackedWeight) {
    this.name = name;
    this.inFeatures = weight.cols;
    this.outFeatures = weight.rows;
    this.parameter = store.decayed.add(name, weight.values.length, (into) => into.set(decodeWeights(weight.dtype, weight.values)));
    // Parameters are f32 whatever the checkpoint's element type.
    this.#ops = new WeightOps(name, { ...weight, dtype: 'F32' }, this.parameter.value);
  }

  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void {
    this.#ops.multiply(b, y, init, x, this.#ops.plainValues(b));
  }

  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void {
    if (dx) this.#ops.multiplyT(b, dx, init, dy, this.#ops.plainValues(b));
    this.#ops.sample(b, this.parameter.gradient, this.parameter.gradient, dy, x);
  }
}
