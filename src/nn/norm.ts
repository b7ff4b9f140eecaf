/** RMSNorm. Its output is cheap to make again, so that only rstd and the input are saved. */
import type { Parameter } from '../program/parameters.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { constant } from '../program/value.ts';

export class Norm {
  readonly features: number;
  readonly #eps: number;
  readonly #gain: Ref;
  readonly #parameter: Parameter | undefined;

  /** `gain` is a constant, or a parameter that trains. */
  constructor(name: string, gain: Float32Array | Parameter, features: number, eps: number) {
    this.features = features;
    this.#eps = eps;
    this.#parameter = gain instanceof Float32Array ? undefined : gain;
    this.#gain = gain instanceof Float32Array ? constant(name, gain) : gain.value;
  }

  forward(b: ProgramBuilder, x: Value): { y: Value; rstd: Value } {
    const y = b.activation('normed', this.features);
    const rstd = b.activation('rstd', 1);
    if (b.oneToken) b.emit('rmsNormToken', 1, { y, x, gain: this.#gain, K: this.features, eps: this.#eps });
    else b.emit('rmsNorm', perTile(), { y, rstd, x, gain: this.#gain, K: this.features, eps: this.#eps });
    return { y, rstd };
  }

  /** dx = (init or 0) + the gradient through the norm. */
  backward(b: ProgramBuilder, dx: Value, init: Ref | 0, dy: Value, x: Value, rstd: Value): void {
    this.gainGradient(b, dy, x, rstd);
    b.emit('rmsNormBackward', perTile(), { dx, init, dy, x, rstd, gain: this.#gain, K: this.features });
  }

  /** The gradient of the gain alone, where it trains. */
  gainGradient(b: ProgramBuilder, dy: Value, x: Value, rstd: Value): void {
    if (!this.#parameter) return;
    b.emit('rmsNormGainGrad', this.features, { dGain: this.#parameter.gradient, dy, x, rstd, K: this.features });
  }

  /** Whether the gain trains. */
  get trains(): boolean {
    return this.#parameter !== undefined;
  }
}
