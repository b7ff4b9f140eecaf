/** Linear layers that also add up what pruners ask of calibration: their inputs' squares, or the products of all pairs of them. */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';

/** squares: for Wanda and RIA; products: for SparseGPT. */
export type Observation = 'squares' | 'products';

/** Wraps the layers of one compiled model. Layers with the same input share one sum. */
export class Observer {
  readonly kind: Observation;
  /** For products: slot i of token i, NONE beyond the batch, whose padding must not be summed. Written for each batch. */
  readonly slots: Value;
  readonly #ofInput = new Map<Value, Value>();
  readonly #ofModule = new Map<string, Value>();

  constructor(kind: Observation, tokens: number) {
    this.kind = kind;
    this.slots = { name: 'slots', bytes: tokens * 4, kind: 'input' };
  }

  /** The sums of the inputs of each module that was emitted. Squares: f64 [in]; products: f32 panels of four rows, [in, in]. */
  get sums(): ReadonlyMap<string, Value> {
    return this.#ofModule;
  }

  wrap(inner: LinearLayer): LinearLayer {
    const { name, inFeatures, outFeatures } = inner;
    return {
      name,
      inFeatures,
      outFeatures,
      forward: (b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void => {
        this.#ofModule.set(name, this.#ofInput.get(x) ?? this.#emit(b, x, inFeatures));
        inner.forward(b, y, init, x);
      },
      backward: (b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void => inner.backward(b, dx, init, dy, x),
    };
  }

  #emit(b: ProgramBuilder, x: Value, K: number): Value {
    const bytes = this.kind === 'squares' ? K * 8 : Math.ceil(K / 4) * K * 16;
    const total: Value = { name: `${x.name} ${this.kind}`, bytes, kind: 'state' };
    this.#ofInput.set(x, total);
    if (this.kind === 'squares') b.emit('featureSquares', K, { total, x, K });
    else {
      // Nothing looks at padding, so that it may be cleared where it stands.
      b.emit('gatherTokens', perTile(), { y: x, x, slots: this.slots, K });
      b.emit('sddmmDense', Math.ceil(K / 4), { dw: total, init: total, dy: x, x, features: K, M: K, K });
    }
    return total;
  }
}
