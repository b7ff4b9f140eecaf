/** Runs calibration text through a model one block at a time, so that one block's activations exist at once. */
import { explain } from '../core/errors.ts';
import { TILE } from '../kernels/table.ts';
import type { Sequence } from '../models/batch.ts';
import { NONE, longestInput, packRows, totalInput, writeBatch } from '../models/batch.ts';
import { CompiledLlama } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Value } from '../program/value.ts';
import type { Session, Sessions } from '../runtime/session.ts';
import { Observer } from './observe.ts';
import type { Observation } from './observe.ts';
import type { InputProducts } from './sparsegpt.ts';

/** Tokens that go through a block at once. */
const BATCH_TOKENS = 2048;

export class Calibration {
  readonly #sessions: Sessions;
  readonly #batches: readonly (readonly Sequence[])[];
  readonly #tiles: number;
  readonly #positions: number;
  /** The input of the next block for each batch, [tiles][hidden][16]. */
  readonly #hidden: Float32Array[] = [];

  private constructor(sequences: readonly Sequence[], sessions: Sessions) {
    this.#sessions = sessions;
    this.#positions = longestInput(sequences);
    this.#batches = packRows(sequences, Math.max(BATCH_TOKENS, this.#positions));
    this.#tiles = Math.ceil(this.#batches.reduce((most, batch) => Math.max(most, totalInput(batch)), 0) / TILE);
  }

  /** Embeds the sequences. */
  static async start(model: LlamaModel, sequences: readonly Sequence[], sessions: Sessions): Promise<Calibration> {
    const calibration = new Calibration(sequences, sessions);
    const y = calibration.#buffer(model, 'embedded', 'output');
    const compiled = calibration.#compile(model);
    const session = sessions.open([compiled.embed(y)]);
    try {
      for (const batch of calibration.#batches) {
        await session.run('embed', writeBatch(session, compiled.inputs, batch, model.config.vocabSize));
        calibration.#hidden.push(session.floats(y).slice());
      }
    } finally {
      await session.close();
    }
    return calibration;
  }

  /** ||X_j||_2 of the inputs of each linear module of a block, over all tokens; the next block's input stays as it is. */
  async inputNorms(model: LlamaModel, layer: number): Promise<Map<string, Float64Array>> {
    const norms = await this.#observe(model, layer, 'squares', (session, sums) => session.doubles(sums).map(Math.sqrt));
    for (const [name, ofInputs] of norms) {
      const bad = ofInputs.findIndex((norm) => !Number.isFinite(norm));
      if (bad >= 0)
        throw new RangeError(explain(`calibration: ${name}`, 'finite activations', `${ofInputs[bad]} as the norm of input ${bad}`));
    }
    return norms;
  }

  /** X X' of the inputs of each linear module of a block, over all tokens; modules that share their inputs share the object. */
  async inputProducts(model: LlamaModel, layer: number): Promise<Map<string, InputProducts>> {
    const tokens = this.#batches.reduce((n, batch) => n + totalInput(batch), 0);
    return this.#observe(model, layer, 'products', (session, sums, cols) => ({ cols, tokens, sums: session.floats(sums) }));
  }

  async #observe<T>(
    model: LlamaModel,
    layer: number,
    kind: Observation,
    read: (session: Session, sums: Value, cols: number) => T,
  ): Promise<Map<string, T>> {
    const observer = new Observer(kind, this.#tiles * TILE);
    const session = await this.#through(model, layer, () => undefined, observer);
    const found = new Map<Value, T>();
    for (const [name, sums] of observer.sums) if (!found.has(sums)) found.set(sums, read(session, sums, model.linears.get(name)!.cols));
    return new Map([...observer.sums].map(([name, sums]) => [name, found.get(sums)!]));
  }

  /** Takes every batch through a block of the model as it is now: its output is the next block's input. */
  async advance(model: LlamaModel, layer: number): Promise<void> {
    await this.#through(model, layer, (i, y) => this.#hidden[i]!.set(y));
  }

  /** The session is closed; what it computed can be read. */
  async #through(model: LlamaModel, layer: number, each: (batch: number, y: Float32Array) => void, observer?: Observer): Promise<Session> {
    const x = this.#buffer(model, 'block input', 'input');
    const y = this.#buffer(model, 'block output', 'output');
    const compiled = this.#compile(model, observer);
    const session = this.#sessions.open([compiled.block(layer, y, x)]);
    try {
      for (const [i, batch] of this.#batches.entries()) {
        const counts = writeBatch(session, compiled.inputs, batch, model.config.vocabSize);
        session.floats(x).set(this.#hidden[i]!);
        if (observer && session.has(observer.slots)) {
          session.words(observer.slots).forEach((_, slot, slots) => (slots[slot] = slot < counts.tokens ? slot : NONE));
        }
        await session.run('block', counts);
        each(i, session.floats(y));
      }
    } finally {
      await session.close();
    }
    return session;
  }

  #compile(model: LlamaModel, observer?: Observer): CompiledLlama {
    return new CompiledLlama(model, {
      tiles: this.#tiles,
      positions: this.#positions,
      ...(observer && { wrap: (linear) => observer.wrap(linear) }),
    });
  }

  #buffer(model: LlamaModel, name: string, kind: Value['kind']): Value {
    return { name, bytes: this.#tiles * model.config.hiddenSize * 64, kind };
  }
}
