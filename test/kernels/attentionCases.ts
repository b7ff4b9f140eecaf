/** Packed documents for attention, and its kernels over them. */
import { Random } from '../../src/core/random.ts';
import { TILE } from '../../src/kernels/table.ts';
import { C, EPS, largest, tolerance } from './claims.ts';
import { gaussians } from './data.ts';
import { KernelCall } from './harness.ts';

export interface Documents {
  readonly tiles: number;
  /** Which document each token belongs to. */
  readonly of: readonly number[];
  readonly first: Uint32Array;
  readonly last: Uint32Array;
}

/** Causal documents of these lengths, one after another; tokens beyond them are documents of their own. */
export function packed(lengths: readonly number[]): Documents {
  const tiles = Math.ceil(lengths.reduce((a, b) => a + b, 0) / TILE);
  const first = new Uint32Array(tiles * TILE);
  const last = Uint32Array.from(first, (_, t) => t);
  const of: number[] = [];
  for (const [document, length] of lengths.entries()) {
    const begin = of.length;
    for (let i = 0; i < length; i++) of.push(document);
    first.fill(begin, begin, of.length);
  }
  for (let t = of.length; t < first.length; t++) {
    first[t] = t;
    of.push(t + lengths.length);
  }
  return { tiles, of, first, last };
}

export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly D: number;
}

export type Tensors = Readonly<Record<'q' | 'k' | 'v' | 'dO', Float32Array<ArrayBuffer>>>;

export function tensors(seed: number, tiles: number, { heads, kvHeads, D }: AttentionShape, keyTiles = tiles): Tensors {
  const random = new Random(seed);
  return {
    q: gaussians(random, tiles * heads * D * TILE),
    k: gaussians(random, keyTiles * kvHeads * D * TILE),
    v: gaussians(random, keyTiles * kvHeads * D * TILE),
    dO: gaussians(random, tiles * heads * D * TILE),
  };
}

export interface AttentionCalls {
  readonly forward: KernelCall<'attention'>;
  readonly backward: KernelCall<'attentionBackward'>;
}

/** Forward, and backward in so many parts from what the oracle saved, rounded to f32: each kernel is tried alone. */
export function calls(documents: Documents, shape: AttentionShape, { q, k, v, dO }: Tensors, parts = 1): AttentionCalls {
  const { tiles, first, last } = documents;
  const { heads, kvHeads, D } = shape;
  const inputs = { q, k, v, first, last, heads, kvHeads, D, scaling: Math.fround(D ** -0.5) };
  const forward = new KernelCall('attention', tiles * heads, { o: q.length, stats: tiles * heads * 2 * TILE, ...inputs });
  const o = Float32Array.from(forward.oracle().get('o')!);
  const stats = Float32Array.from(forward.oracle().get('stats')!);
  const backward = new KernelCall('attentionBackward', heads * parts, {
    dq: q.length * parts,
    dk: q.length,
    dv: q.length,
    delta: tiles * heads * parts * TILE,
    dO,
    o,
    stats,
    parts,
    tiles,
    ...inputs,
  });
  return { forward, backward };
}

/**
 * Tolerances of every output, for documents of at most n tokens. A score is a sum of D products; an error of a score, or
 * of the maximum, multiplies a probability by 1 + that error, and so does an exp 2 ULP off. An output sums n of those.
 */
export function attentionTolerances(shape: AttentionShape, n: number, { q, k, v, dO }: Tensors) {
  const { D } = shape;
  const scaling = D ** -0.5;
  const score = tolerance(D, scaling * largest(q), largest(k));
  const probability = 2 * score + EPS * (n + 8);
  // dP - delta: sums of D signed products, which grow like the root of D.
  const difference = 2 * Math.sqrt(D) * largest(dO) * largest(v);
  const dDelta = tolerance(D, largest(dO), largest(v));
  // One query's probabilities sum to 1; a key's may come to 1 for each of the n queries.
  const dS = scaling * (probability * difference + 2 * dDelta);
  return {
    o: (probability + C * EPS) * largest(v),
    stats: Math.LOG2E * score + probability,
    delta: dDelta,
    dq: dS * largest(k) + tolerance(n, scaling * difference, largest(k)) / n,
    dk: n * dS * largest(q) + tolerance(n, scaling * difference, largest(q)),
    dv: n * probability * largest(dO) + tolerance(n, 1, largest(dO)),
  };
}
