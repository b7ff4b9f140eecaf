/** Llama's gated MLP: y = residual + down_proj (silu(gate_proj x) * up_proj x). */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { lines, perTile } from '../program/program.ts';
import type { Value } from '../program/value.ts';

export interface MlpProjections {
  readonly gate_proj: LinearLayer;
  readonly up_proj: LinearLayer;
  readonly down_proj: LinearLayer;
}

/** Saved for the backward pass, beside the layer's input; the product is cheap to make again. */
export interface MlpSaved {
  readonly gate: Value;
  readonly up: Value;
}

export class Mlp {
  readonly #p: MlpProjections;

  constructor(projections: MlpProjections) {
    this.#p = projections;
  }

  /** Everything up to the product. x: normed, [tiles][hidden][16]. */
  forward(b: ProgramBuilder, x: Value): MlpSaved {
    return { gate: this.#project(b, 'gate_proj', x), up: this.#project(b, 'up_proj', x) };
  }

  /** y = residual + down_proj (silu(gate) up). */
  output(b: ProgramBuilder, y: Value, residual: Value, saved: MlpSaved): void {
    const product = this.#product(b, saved);
    b.within('down_proj', () => this.#p.down_proj.forward(b, y, residual, product));
  }

  /** dx; dy is the gradient of the down projection's result. x as in forward. */
  backward(b: ProgramBuilder, dx: Value, dy: Value, x: Value, saved: MlpSaved): void {
    const { gate, up } = saved;
    const F = this.#p.down_proj.inFeatures;
    const product = this.#product(b, saved);
    const dProduct = b.activation('dproduct', F);
    b.within('down_proj', () => this.#p.down_proj.backward(b, dProduct, 0, dy, product));
    const dGate = b.activation('dgate', F);
    const dUp = b.activation('dup', F);
    b.emit('swigluBackward', perTile(), { dGate, dUp, dy: dProduct, gate, up, F });
    b.within('gate_proj', () => this.#p.gate_proj.backward(b, dx, 0, dGate, x));
    b.within('up_proj', () => this.#p.up_proj.backward(b, dx, dx, dUp, x));
  }

  #product(b: ProgramBuilder, { gate, up }: MlpSaved): Value {
    const F = this.#p.down_proj.inFeatures;
    const y = b.activation('product', F);
    // Whatever stands where: one token's features are as many tiles of one feature.
    if (b.oneToken) b.emit('swiglu', lines(F), { y, gate, up, F: 1 });
    else b.emit('swiglu', perTile(), { y, gate, up, F });
    return y;
  }

  #project(b: ProgramBuilder, name: 'gate_proj' | 'up_proj', x: Value): Value {
    return b.within(name, () => {
      const y = b.activation('y', this.#p[name].outFeatures);
      this.#p[name].forward(b, y, 0, x);
      return y;
    });
  }
}
