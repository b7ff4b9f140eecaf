/** Runs calibration text through a model one block at a time, so that one block's activations exist at once. */
import { TILE } from '../kernels/table.ts';
import type { Sequence } from '../models/batch.ts';
import { longestInput, packRows, totalInput, writeBatch } from '../models/batch.ts';
import { CompiledLlama } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Value } from '../program/value.ts';
import { Session } from '../runtime/session.ts';
import { ObservedLinear } from './observe.ts';

/** Tokens that go through a block at once. */
const BATCH_TOKENS = 2048;

export class Calibration {
  readonly #module: WebAssembly.Module;
  readonly #batches: readonly (readonly Sequence[])[];
  readonly #tiles: number;
  readonly #positions: number;
  /** The input of the next block for each batch, [tiles][hidden][16]. */
  #hidden: Float32Array[] = [];

  /** Embeds the sequences. */
  constructor(model: LlamaModel, sequences: readonly Sequence[], module: WebAssembly.Module) {
    this.#module = module;
    this.#positions = longestInput(sequences);
    this.#batches = packRows(sequences, Math.max(BATCH_TOKENS, this.#positions));
    this.#tiles = Math.ceil(this.#batches.reduce((most, batch) => Math.max(most, totalInput(batch)), 0) / TILE);
    const y = this.#buffer(model, 'embedded', 'output');
    const compiled = this.#compile(model);
    const session = new Session([compiled.embed(y)], { module });
    this.#hidden = this.#batches.map((batch) => {
      session.run('embed', writeBatch(session, compiled.inputs, batch, model.config.vocabSize));
      return session.floats(y).slice();
    });
  }

  /** ||X_j||_2 of the inputs of each linear module of a block, over all tokens; the next block's input stays as it is. */
  inputNorms(model: LlamaModel, layer: number): Map<string, Float64Array> {
    const observed: ObservedLinear[] = [];
    const session = this.#through(model, layer, () => undefined, observed);
    const norms = new Map<string, Float64Array>();
    for (const linear of observed) if (session.has(linear.squares)) norms.set(linear.name, session.doubles(linear.squares).map(Math.sqrt));
    return norms;
  }

  /** Takes every batch through a block of the model as it is now: its output is the next block's input. */
  advance(model: LlamaModel, layer: number): void {
    this.#through(model, layer, (i, y) => this.#hidden[i]!.set(y));
  }

  #through(model: LlamaModel, layer: number, each: (batch: number, y: Float32Array) => void, observed?: ObservedLinear[]): Session {
    const x = this.#buffer(model, 'block input', 'input');
    const y = this.#buffer(model, 'block output', 'output');
    const compiled = this.#compile(model, observed);
    const session = new Session([compiled.block(layer, y, x)], { module: this.#module });
    this.#batches.forEach((batch, i) => {
      const counts = writeBatch(session, compiled.inputs, batch, model.config.vocabSize);
      session.floats(x).set(this.#hidden[i]!);
      session.run('block', counts);
      each(i, session.floats(y));
    });
    return session;
  }

  #compile(model: LlamaModel, observed?: ObservedLinear[]): CompiledLlama {
    return new CompiledLlama(model, {
      tiles: this.#tiles,
      positions: this.#positions,
      ...(observed && {
        wrap: (linear) => {
          const wrapped = new ObservedLinear(linear);
          observed.push(wrapped);
          return wrapped;
        },
      }),
    });
  }

  #buffer(model: LlamaModel, name: string, kind: Value['kind']): Value {
    return { name, bytes: this.#tiles * model.config.hiddenSize * 64, kind };
  }
}
