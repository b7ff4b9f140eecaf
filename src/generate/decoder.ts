/**
 * A cached decode: keys and values of earlier tokens stay in the arena. A prompt goes through in tiles; each new token is
 * a pass of one token, by a program of its own over the same weights and caches.
 */
import { TILE } from '../kernels/table.ts';
import { CompiledLlama } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { KeyValueCache } from '../nn/attention.ts';
import type { Value } from '../program/value.ts';
import type { Session, Sessions } from '../runtime/session.ts';

/** Tokens of the prompt that go through the model at once. */
const PROMPT_TILES = 8;

export class Decoder {
  readonly #session: Session;
  readonly #compiled: CompiledLlama;
  /** [1][V][16], the label's token in the first lane. */
  readonly #promptLogits: Value;
  /** [V] */
  readonly #tokenLogits: Value;
  readonly #slots: Value;
  readonly #vocabulary: number;
  readonly #capacity: number;
  #length = 0;

  /** Room for `capacity` tokens, the prompt included. */
  constructor(model: LlamaModel, capacity: number, sessions: Sessions) {
    const { layers, kvHeads, headDim, vocabSize } = model.config;
    const cacheTiles = Math.ceil(capacity / TILE);
    const tiles = Math.min(PROMPT_TILES, cacheTiles);
    this.#vocabulary = vocabSize;
    this.#capacity = capacity;
    this.#compiled = new CompiledLlama(model, { tiles, positions: capacity });
    this.#promptLogits = { name: 'logits', bytes: vocabSize * 64, kind: 'output' };
    this.#tokenLogits = { name: 'token logits', bytes: vocabSize * 4, kind: 'output' };
    this.#slots = { name: 'cache slots', bytes: tiles * 64, kind: 'input' };
    const cache = (name: string): Value => ({ name, bytes: cacheTiles * kvHeads * headDim * 64, kind: 'state' });
    const caches = Array.from({ length: layers }, (_, i): KeyValueCache => ({
      k: cache(`keys ${i}`),
      v: cache(`values ${i}`),
      slots: this.#slots,
    }));
    this.#session = sessions.open([
      this.#compiled.logits(this.#promptLogits, caches),
      this.#compiled.tokenLogits(this.#tokenLogits, caches),
    ]);
  }

  /** Gives threads back. */
  async close(): Promise<void> {
    await this.#session.close();
  }

  /** Tokens seen so far. */
  get length(): number {
    return this.#length;
  }

  /** Takes tokens in and returns the logits of what follows the last of them, [vocabulary]. */
  async feed(ids: readonly number[]): Promise<Float32Array> {
    if (ids.length === 0) throw new RangeError('feed: expected at least one token, got none.');
    if (this.#length + ids.length > this.#capacity) {
      throw new RangeError(`feed: expected at most ${this.#capacity - this.#length} more tokens, got ${ids.length}.`);
    }
    const most = this.#slots.bytes / 4;
    let pass: readonly number[] = [];
    for (let from = 0; from < ids.length; from += most) await this.#pass((pass = ids.slice(from, from + most)));
    if (pass.length === 1) return this.#session.floats(this.#tokenLogits).slice();
    const tile = this.#session.floats(this.#promptLogits);
    return Float32Array.from({ length: this.#vocabulary }, (_, id) => tile[id * TILE]!);
  }

  async #pass(ids: readonly number[]): Promise<void> {
    const session = this.#session;
    const { inputs } = this.#compiled;
    const words = (value: Value): Uint32Array => session.words(value);
    const slots = words(this.#slots).fill(0xffffffff);
    words(inputs.first).fill(0);
    // Lanes without a token look at the first key, which is always there.
    words(inputs.last).fill(0);
    words(inputs.ids).fill(0);
    words(inputs.positions).fill(0);
    words(inputs.labelSlots).fill(0xffffffff)[0] = ids.length - 1;
    ids.forEach((id, i) => {
      if (!(id >= 0 && id < this.#vocabulary)) throw new RangeError(`feed: expected token ids below ${this.#vocabulary}, got ${id}.`);
      const at = this.#length + i;
      words(inputs.ids)[i] = id;
      words(inputs.positions)[i] = at;
      words(inputs.last)[i] = at;
      slots[i] = at;
    });
    await session.run(ids.length === 1 ? 'tokenLogits' : 'logits', {
      tokens: ids.length,
      tiles: Math.ceil(ids.length / TILE),
      labelled: 1,
      labelTiles: 1,
    });
    this.#length += ids.length;
  }
}
