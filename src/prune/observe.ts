/** A linear layer that also adds up the squares of its inputs: what Wanda needs of calibration. */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';

export class ObservedLinear implements LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** f64 a feature: the sum of its squares over all tokens so far. */
  readonly squares: Value;
  readonly #inner: LinearLayer;

  constructor(inner: LinearLayer) {
    this.#inner = inner;
    this.name = inner.name;
    this.inFeatures = inner.inFeatures;
    this.outFeatures = inner.outFeatures;
    this.squares = { name: `${inner.name} input squares`, bytes: inner.inFeatures * 8, kind: 'state' };
  }

  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void {
    b.emit('featureSquares', this.inFeatures, { total: this.squares, x, K: this.inFeatures });
    this.#inner.forward(b, y, init, x);
  }

  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void {
    this.#inner.backward(b, dx, init, dy, x);
  }
}
