/** Grouped-query causal attention with rotary positions: q, k, v, o projections and the kernels between them. */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { BatchInputs } from './batch.ts';

/** Keys and values of earlier tokens, [tiles][kvHeads * headDim][16] each: what generation attends to. */
export interface KeyValueCache {
  readonly k: Value;
  readonly v: Value;
  /** Slot of each token of the batch in the cache, or NONE. */
  readonly slots: Value;
}

/** What every block of a forward pass shares. */
export interface ForwardContext {
  readonly inputs: BatchInputs;
  /** Angles of each token, [tiles][headDim / 2][16]; of one token, the tables: [positions][headDim / 2]. */
  readonly cos: Value;
  readonly sin: Value;
}

export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

export interface AttentionProjections {
  readonly q_proj: LinearLayer;
  readonly k_proj: LinearLayer;
  readonly v_proj: LinearLayer;
  readonly o_proj: LinearLayer;
}

/** Saved for the backward pass, beside the layer's input. */
export interface AttentionSaved {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly o: Value;
  readonly stats: Value;
}

/**
 * The gradient is shared out by heads, and by parts of them where they are fewer than this: nine would be five and four on two threads, and
 * two and one on eight. The number of threads does not count, as the order of sums follows the parts; one thread pays 0.2 % of a step for
 * two parts of nine heads.
 */
const FEWEST_UNITS = 16;

export class Attention {
  readonly #p: AttentionProjections;
  readonly #shape: AttentionShape;

  constructor(projections: AttentionProjections, shape: AttentionShape) {
    this.#p = projections;
    this.#shape = shape;
  }

  /** Everything up to the output projection. x: normed, [tiles][hidden][16]. */
  forward(b: ProgramBuilder, x: Value, context: ForwardContext, cache?: KeyValueCache): AttentionSaved {
    const { heads, kvHeads, headDim: D } = this.#shape;
    const q = this.#project(b, 'q_proj', x);
    const k = this.#project(b, 'k_proj', x);
    const v = this.#project(b, 'v_proj', x);
    this.#rotate(b, q, heads, 1, context);
    this.#rotate(b, k, kvHeads, 1, context);
    if (b.oneToken) return this.#forwardToken(b, { q, k, v }, context, cache);
    if (cache) {
      b.emit('storeTokens', perTile(), { cache: cache.k, x: k, slots: cache.slots, K: kvHeads * D });
      b.emit('storeTokens', perTile(), { cache: cache.v, x: v, slots: cache.slots, K: kvHeads * D });
    }
    const o = b.activation('o', heads * D);
    const stats = b.activation('stats', heads * 2);
    const { first, last } = context.inputs;
    const keys = cache ? { k: cache.k, v: cache.v } : { k, v };
    b.emit('attention', perTile(heads), { o, stats, q, ...keys, first, last, heads, kvHeads, D, scaling: D ** -0.5 });
    return { q, k, v, o, stats };
  }

  /** One token attends to its cache, all of which it may see. */
  #forwardToken(
    b: ProgramBuilder,
    { q, k, v }: Pick<AttentionSaved, 'q' | 'k' | 'v'>,
    { inputs: { last } }: ForwardContext,
    cache: KeyValueCache | undefined,
  ): AttentionSaved {
    if (!cache) throw new TypeError('attention: expected a cache for a program of one token.');
    const { heads, kvHeads, headDim: D } = this.#shape;
    b.emit('storeToken', kvHeads * D, { cache: cache.k, x: k, slots: cache.slots, K: kvHeads * D });
    b.emit('storeToken', kvHeads * D, { cache: cache.v, x: v, slots: cache.slots, K: kvHeads * D });
    const o = b.activation('o', heads * D);
    b.emit('attentionToken', heads, { o, q, k: cache.k, v: cache.v, last, heads, kvHeads, D, scaling: D ** -0.5 });
    // Nothing goes back through a cache: no statistics are saved.
    return { q, k, v, o, stats: o };
  }

  /** y = residual + o_proj o. */
  output(b: ProgramBuilder, y: Value, residual: Value, saved: AttentionSaved): void {
    b.within('o_proj', () => this.#p.o_proj.forward(b, y, residual, saved.o));
  }

  /** dx where asked for; dy is the gradient of the output projection's result. x as in forward. */
  backward(b: ProgramBuilder, dx: Value | undefined, dy: Value, x: Value, saved: AttentionSaved, context: ForwardContext): void {
    const { heads, kvHeads, headDim: D } = this.#shape;
    const { q, k, v, o, stats } = saved;
    const { first, last } = context.inputs;
    const dO = b.activation('do', heads * D);
    b.within('o_proj', () => this.#p.o_proj.backward(b, dO, 0, dy, o));
    const parts = Math.ceil(FEWEST_UNITS / heads);
    const units = heads * parts;
    const [dqParts, dkHeads, dvHeads] = [b.activation('dq', units * D), b.activation('dk', heads * D), b.activation('dv', heads * D)];
    const delta = b.activation('delta', units);
    const shape = { heads, kvHeads, D, scaling: D ** -0.5, parts };
    const gradients = { dq: dqParts, dk: dkHeads, dv: dvHeads, delta };
    b.emit('attentionBackward', units, { ...gradients, dO, o, stats, q, k, v, first, last, ...shape });
    const [dq, dk, dv] = [this.#summed(b, dqParts, units, heads), this.#summed(b, dkHeads), this.#summed(b, dvHeads)];
    this.#rotate(b, dq, heads, -1, context);
    this.#rotate(b, dk, kvHeads, -1, context);
    b.within('q_proj', () => this.#p.q_proj.backward(b, dx, 0, dq, x));
    b.within('k_proj', () => this.#p.k_proj.backward(b, dx, dx ?? 0, dk, x));
    b.within('v_proj', () => this.#p.v_proj.backward(b, dx, dx ?? 0, dv, x));
  }

  /** The gradient of keys or values, summed over the heads that share them; or that of queries, over the parts of a head. */
  #summed(b: ProgramBuilder, ofHeads: Value, heads = this.#shape.heads, kvHeads = this.#shape.kvHeads): Value {
    const { headDim: D } = this.#shape;
    if (heads === kvHeads) return ofHeads;
    const y = b.activation('summed', kvHeads * D);
    b.emit('sumHeads', perTile(), { y, x: ofHeads, heads, kvHeads, D });
    return y;
  }

  #project(b: ProgramBuilder, name: 'q_proj' | 'k_proj' | 'v_proj', x: Value): Value {
    return b.within(name, () => {
      const y = b.activation('y', this.#p[name].outFeatures);
      this.#p[name].forward(b, y, 0, x);
      return y;
    });
  }

  #rotate(b: ProgramBuilder, x: Value, heads: number, sign: 1 | -1, { cos, sin, inputs: { positions } }: ForwardContext): void {
    const half = this.#shape.headDim / 2;
    if (b.oneToken) b.emit('ropeToken', heads, { y: x, x, cosTable: cos, sinTable: sin, positions, half });
    else b.emit('rope', perTile(), { y: x, x, cos, sin, heads, half, sign });
  }
}
