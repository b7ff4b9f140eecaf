/** Adapters that become part of the weight for each use: y = W~ x, dx = W~' dy. Of the activations only x is saved. */
import type { ProgramBuilder } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import type { Factors } from './factors.ts';
import type { AdapterLinear, MergeRule } from './rule.ts';
import type { WeightOps } from './weightOps.ts';

export abstract class MergedLinear implements AdapterLinear {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  protected readonly ops: WeightOps;
  protected readonly factors: Factors;
  readonly #merge: MergeRule;

  constructor(name: string, ops: WeightOps, factors: Factors, merge: MergeRule = 'recompute') {
    this.name = name;
    this.inFeatures = ops.weight.cols;
    this.outFeatures = ops.weight.rows;
    this.ops = ops;
    this.factors = factors;
    this.#merge = merge;
  }

  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void {
    // It is there already where an MLP is made again.
    const w = b.kept(this) ?? this.merged(b);
    if (this.#merge === 'keep') b.keep(this, w);
    this.ops.multiply(b, y, init, x, w);
  }

  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void {
    if (dx) this.ops.multiplyT(b, dx, init, dy, b.kept(this) ?? this.merged(b));
    this.gradients(b, dy, x);
  }

  /** Emits W~ as scratch. */
  abstract merged(b: ProgramBuilder): Value;

  /** Emits the gradients of the factors. */
  protected abstract gradients(b: ProgramBuilder, dy: Value, x: Value): void;
}
