/** Trained parameters in flat runs, with their gradients and moments beside them, so that one op updates them all. */
import { CHUNK } from '../kernels/table.ts';
import type { KernelOp } from './program.ts';
import { touched } from './program.ts';
import type { Value, View } from './value.ts';
import { at } from './value.ts';

/** A trained tensor. */
export interface Parameter {
  readonly name: string;
  /** Where it stands in its run, in floats. */
  readonly offset: number;
  readonly length: number;
  readonly value: View;
  readonly gradient: View;
}

interface GrowingValue extends Value {
  bytes: number;
}

/** One flat run. `decayed` says whether weight decay applies. */
export class ParameterRun {
  readonly parameters: Parameter[] = [];
  readonly decayed: boolean;
  readonly values: Value;
  readonly gradients: Value;
  readonly firstMoments: Value;
  readonly secondMoments: Value;
  readonly #all: readonly GrowingValue[];
  readonly #initial: ((all: Float32Array) => void)[] = [];

  constructor(name: string, decayed: boolean, gradients: 'gradient' | 'carried') {
    this.decayed = decayed;
    const values: GrowingValue = { name: `${name} parameters`, bytes: 0, kind: 'parameter', source: (all) => this.#start(all) };
    const others = (['gradients', 'first moments', 'second moments'] as const).map((what): GrowingValue => ({
      name: `${name} ${what}`,
      bytes: 0,
      kind: what === 'gradients' ? gradients : 'state',
    }));
    this.#all = [values, ...others];
    this.values = values;
    [this.gradients, this.firstMoments, this.secondMoments] = others as [Value, Value, Value];
  }

  /** Adds a tensor of `length` floats that `initial` writes the start of. */
  add(name: string, length: number, initial: (into: Float32Array) => void): Parameter {
    const offset = this.values.bytes / 4;
    for (const value of this.#all) value.bytes += Math.ceil(length / CHUNK) * CHUNK * 4;
    this.#initial.push((all) => initial(all.subarray(offset, offset + length)));
    const parameter = { name, offset, length, value: at(this.values, offset * 4), gradient: at(this.gradients, offset * 4) };
    this.parameters.push(parameter);
    return parameter;
  }

  /** Chunks of CHUNK floats, the units of work over the run. */
  get chunks(): number {
    return this.values.bytes / 4 / CHUNK;
  }

  /** Lets go of the initial values, once they stand in an arena. */
  forgetInitial(): void {
    this.#initial.length = 0;
  }

  #start(all: Float32Array): void {
    for (const initial of this.#initial) initial(all);
  }
}

/**
 * Every trained parameter of a model, in two runs: with and without weight decay. Where gradients are carried there are two for each
 * part of the model: those of a block take the place of activations that the backward pass is done with by then.
 */
export class ParameterStore {
  readonly #carried: boolean;
  readonly #decayed: ParameterRun[] = [];
  readonly #plain: ParameterRun[] = [];

  constructor(carried = false) {
    this.#carried = carried;
    this.#begin();
  }

  /** The runs that parameters are added to. */
  get decayed(): ParameterRun {
    return this.#decayed.at(-1)!;
  }

  get plain(): ParameterRun {
    return this.#plain.at(-1)!;
  }

  /** The runs that have parameters. */
  get runs(): readonly ParameterRun[] {
    return [...this.#decayed, ...this.#plain].filter((run) => run.parameters.length > 0);
  }

  /** The next parameters belong to another part of the model. */
  nextPart(): void {
    if (this.#carried) this.#begin();
  }

  /** The ops of a backward pass, where gradients are carried: each run's begin at zero where the first of them is written. */
  startGradients(ops: readonly KernelOp[]): readonly KernelOp[] {
    if (!this.#carried) return ops;
    const chunks = new Map(this.runs.map((run) => [run.gradients, run.chunks]));
    return ops.flatMap((op) => [
      ...touched(op).flatMap(({ value: x }): KernelOp[] => {
        const units = chunks.get(x);
        chunks.delete(x);
        return units ? [{ kernel: 'clear', units, args: { x }, label: op.label }] : [];
      }),
      op,
    ]);
  }

  /** Lets go of all initial values, once they stand in an arena. */
  forgetInitial(): void {
    for (const run of this.runs) run.forgetInitial();
  }

  /** How many floats are trained, padding not counted. */
  get size(): number {
    return this.runs.reduce((n, run) => n + run.parameters.reduce((m, p) => m + p.length, 0), 0);
  }

  #begin(): void {
    const kind = this.#carried ? 'carried' : 'gradient';
    this.#decayed.push(new ParameterRun('decayed', true, kind));
    this.#plain.push(new ParameterRun('plain', false, kind));
  }
}
