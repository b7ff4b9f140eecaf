/**
 * A transformer block: x + attention(norm x), then that + mlp(norm of it).
 *
 * Saved for the backward pass, per token: x, q, k, v, o, the middle residual, gate and up. Both normed inputs and the
 * MLP's product are made again: a pass over memory each, a third of the activations. With `recompute: 'mlp'` gate and up are not
 * saved either, half of the rest for a seventh of a step's time; with `'block'` only x is. What is not saved is emitted again in
 * the backward pass; liveness does the rest.
 */
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Attention, AttentionSaved, ForwardContext, KeyValueCache } from './attention.ts';
import type { Mlp, MlpSaved } from './mlp.ts';
import type { Norm } from './norm.ts';

export type Recompute = 'none' | 'mlp' | 'block';

/** Of how many blocks, from the first on, what is made again: their activations are kept longest. */
export interface Recomputed {
  readonly blocks: number;
  /** Of the blocks after those, the MLP alone. */
  readonly mlps: number;
}

/** What block i has made again. */
export function recomputeOf({ blocks, mlps }: Recomputed, i: number): Recompute {
  if (i < blocks) return 'block';
  return i < blocks + mlps ? 'mlp' : 'none';
}

interface Inside {
  readonly attention: AttentionSaved;
  readonly middle: Value;
  /** Absent where the MLP is recomputed. */
  readonly mlp?: MlpSaved;
}

export interface BlockSaved {
  readonly x: Value;
  /** Absent where the block is recomputed. */
  readonly inside?: Inside;
}

export interface ForwardOptions {
  readonly recompute: Recompute;
  readonly cache?: KeyValueCache | undefined;
  readonly y?: Value;
}

export class Block {
  readonly #norm1: Norm;
  readonly #attention: Attention;
  readonly #norm2: Norm;
  readonly #mlp: Mlp;

  constructor(inputNorm: Norm, attention: Attention, postAttentionNorm: Norm, mlp: Mlp) {
    this.#norm1 = inputNorm;
    this.#attention = attention;
    this.#norm2 = postAttentionNorm;
    this.#mlp = mlp;
  }

  /** y is an activation of the program's own where none is given. */
  forward(b: ProgramBuilder, x: Value, context: ForwardContext, options: ForwardOptions): { y: Value; saved: BlockSaved } {
    const { recompute, cache, y = b.activation('y', this.#norm1.features) } = options;
    const inside = this.#upToMlp(b, x, context, cache);
    const mlp = this.#mlpOf(b, this.#norm2.forward(b, inside.middle).y);
    b.within('mlp', () => this.#mlp.output(b, y, inside.middle, mlp));
    if (recompute === 'block') b.forget();
    return { y, saved: recompute === 'block' ? { x } : { x, inside: recompute === 'mlp' ? inside : { ...inside, mlp } } };
  }

  /** The gradient of x from that of y, and those of the block's parameters; undefined where nothing below trains. */
  backward(b: ProgramBuilder, dy: Value, saved: BlockSaved, context: ForwardContext, wantDx: boolean): Value | undefined {
    const { x } = saved;
    const inside = saved.inside ?? this.#upToMlp(b, x, context);
    const hidden = this.#norm1.features;

    const second = this.#norm2.forward(b, inside.middle);
    const dSecond = b.activation('dnormed', hidden);
    const mlp = inside.mlp ?? this.#mlpOf(b, second.y);
    b.within('mlp', () => this.#mlp.backward(b, dSecond, dy, second.y, mlp));
    const dMiddle = b.activation('dmiddle', hidden);
    this.#norm2.backward(b, dMiddle, dy, dSecond, inside.middle, second.rstd);

    const first = this.#norm1.forward(b, x);
    const dFirst = wantDx || this.#norm1.trains ? b.activation('dnormed', hidden) : undefined;
    b.within('self_attn', () => this.#attention.backward(b, dFirst, dMiddle, first.y, inside.attention, context));
    if (!dFirst) return undefined;
    if (!wantDx) {
      this.#norm1.gainGradient(b, dFirst, x, first.rstd);
      return undefined;
    }
    const dx = b.activation('dx', hidden);
    this.#norm1.backward(b, dx, dMiddle, dFirst, x, first.rstd);
    return dx;
  }

  #upToMlp(b: ProgramBuilder, x: Value, context: ForwardContext, cache?: KeyValueCache): Inside {
    const first = this.#norm1.forward(b, x);
    const attention = b.within('self_attn', () => this.#attention.forward(b, first.y, context, cache));
    const middle = b.activation('middle', this.#norm1.features);
    b.within('self_attn', () => this.#attention.output(b, middle, x, attention));
    return { attention, middle };
  }

  #mlpOf(b: ProgramBuilder, normed: Value): MlpSaved {
    return b.within('mlp', () => this.#mlp.forward(b, normed));
  }
}
