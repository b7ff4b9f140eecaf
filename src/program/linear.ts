/** What the layers of a model ask of a linear layer; every adapter method answers it. W is [outFeatures, inFeatures]. */
import type { ProgramBuilder } from './program.ts';
import type { Ref, Value } from './value.ts';

export interface LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Emits y = (init or 0) + W~ x. */
  forward(b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void;
  /** Emits dx = (init or 0) + W~' dy, where dx is asked for, and adds to the gradients of the layer's parameters. */
  backward(b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void;
}
