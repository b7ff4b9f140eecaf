/** Trained parameters in flat runs, with their gradients and moments beside them, so that one op updates them all. */
import { CHUNK } from '../kernels/table.ts';
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
  readonly #initial: { offset: number; data: () => Float32Array }[] = [];

  constructor(name: string, decayed: boolean) {
    this.decayed = decayed;
    const values: GrowingValue = { name: `${name} parameters`, bytes: 0, kind: 'parameter', source: () => this.#start() };
    const others = (['gradients', 'first moments', 'second moments'] as const).map((what): GrowingValue => ({
      name: `${name} ${what}`,
      bytes: 0,
      kind: what === 'gradients' ? 'gradient' : 'state',
    }));
    this.#all = [values, ...others];
    this.values = values;
    [this.gradients, this.firstMoments, this.secondMoments] = others as [Value, Value, Value];
  }

  /** Adds a tensor of `length` floats that starts as `initial` says. */
  add(name: string, length: number, initial: () => Float32Array): Parameter {
    const offset = this.values.bytes / 4;
    for (const value of this.#all) value.bytes += Math.ceil(length / CHUNK) * CHUNK * 4;
    this.#initial.push({ offset, data: initial });
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

  #start(): Float32Array {
    const all = new Float32Array(this.values.bytes / 4);
    for (const { offset, data } of this.#initial) all.set(data(), offset);
    return all;
  }
}

/** Every trained parameter of a model, in two runs: with and without weight decay. */
export class ParameterStore {
  readonly decayed = new ParameterRun('decayed', true);
  readonly plain = new ParameterRun('plain', false);

  /** The runs that have parameters. */
  get runs(): readonly ParameterRun[] {
    return [this.decayed, this.plain].filter((run) => run.parameters.length > 0);
  }

  /** Lets go of all initial values, once they stand in an arena. */
  forgetInitial(): void {
    for (const run of this.runs) run.forgetInitial();
  }

  /** How many floats are trained, padding not counted. */
  get size(): number {
    return this.runs.reduce((n, run) => n + run.parameters.reduce((m, p) => m + p.length, 0), 0);
  }
}
