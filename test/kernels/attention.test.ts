import { describe, expect, test } from 'vitest';
import { attentionTolerances, calls, packed, tensors } from './attentionCases.ts';
import type { AttentionShape, Documents, Tensors } from './attentionCases.ts';
import { expectSplitFree, expectWithin, largest, tolerance } from './claims.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const SHAPES: readonly AttentionShape[] = [
  { heads: 1, kvHeads: 1, D: 2 },
  { heads: 4, kvHeads: 2, D: 8 },
  { heads: 6, kvHeads: 1, D: 6 },
  { heads: 3, kvHeads: 3, D: 16 },
];

/** One tile; a document that ends inside a tile; one that begins with a tile's last token; many in one tile; one that spans four, with padding after it. */
const LENGTHS = [[16], [21, 27], [15, 30], [1, 2, 3, 9, 1, 16, 16], [61]];

const cases = SHAPES.flatMap((shape, i) =>
  LENGTHS.map((lengths, j) => {
    const documents = packed(lengths);
    const inputs = tensors(10 * i + j, documents.tiles, shape);
    const name = `${shape.heads}/${shape.kvHeads} heads of ${shape.D}, documents ${lengths.join('+')}`;
    return {
      name,
      shape,
      documents,
      inputs,
      ...calls(documents, shape, inputs),
      // Three parts are more than the tiles that some have.
      backwards: [1, 2, 3].map((parts) => calls(documents, shape, inputs, parts).backward),
      allowed: attentionTolerances(shape, Math.max(...lengths), inputs),
    };
  }),
);

eachFlavour((flavour) => {
  describe.each(cases)('$name', ({ forward, backwards, shape, documents, inputs, allowed }) => {
    test('forward is the masked softmax, over tiles of keys as over all at once', () => {
      expectWithin(forward, flavour, allowed);
      expectSplitFree(forward, flavour);
    });

    test("dq, delta, and each head's dk and dv, over tiles of keys and of queries, in one part, two and three", () => {
      for (const backward of backwards) {
        expectWithin(backward, flavour, allowed);
        expectSplitFree(backward, flavour);
      }
    });

    test('dk and dv sum over the heads that share a key', () => {
      const { heads, kvHeads, D } = shape;
      const x = inputs.q.slice();
      const call = new KernelCall('sumHeads', documents.tiles, { y: (x.length / heads) * kvHeads, x, heads, kvHeads, D });
      expectWithin(call, flavour, { y: tolerance(heads / kvHeads, 1, largest(x)) });
      expectSplitFree(call, flavour);
    });
  });

  test('fewer queries than keys: a cache of four tiles, one tile of queries that see all before them', () => {
    const shape = { heads: 4, kvHeads: 2, D: 8 };
    const inputs = tensors(99, 1, shape, 4);
    const { q, k, v } = inputs;
    const [first, last] = [new Uint32Array(16).fill(5), Uint32Array.from({ length: 16 }, (_, t) => 40 + t)];
    const call = new KernelCall('attention', 4, {
      o: q.length,
      stats: 128,
      q,
      k,
      v,
      first,
      last,
      ...shape,
      scaling: Math.fround(8 ** -0.5),
    });
    expectWithin(call, flavour, attentionTolerances(shape, 51, inputs));
  });

  test('scores of a thousand do not overflow: the maximum comes off first', () => {
    const documents = packed([40]);
    const shape = { heads: 1, kvHeads: 1, D: 2 };
    const { q, ...rest } = tensors(5, documents.tiles, shape);
    const { forward, backward } = calls(documents, shape, { q: q.map((x) => x * 1000), ...rest });
    for (const call of [forward, backward]) for (const out of call.run(flavour).values()) expect(out.every(Number.isFinite)).toBe(true);
  });

  describe('documents in one tile do not see each other, to the last bit', () => {
    const shape = { heads: 4, kvHeads: 2, D: 8 };
    const documents = packed([7, 20, 9, 12]);
    const inputs = tensors(42, documents.tiles, shape);
    const changed = 1;
    const loud = disturb(documents, inputs, changed);
    const [quiet, other] = [calls(documents, shape, inputs), calls(documents, shape, loud)];

    test.each([
      { of: 'o', before: quiet.forward, after: other.forward },
      { of: 'dq', before: quiet.backward, after: other.backward },
      { of: 'dk', before: quiet.backward, after: other.backward },
      { of: 'dv', before: quiet.backward, after: other.backward },
    ])('$of of one is the same whatever another holds: its probabilities are exactly 0', ({ of, before, after }) => {
      const [a, b] = [before.run(flavour).get(of)!, after.run(flavour).get(of)!];
      const features = a.length / (documents.tiles * 16);
      let differ = 0;
      a.forEach((value, i) => {
        const token = Math.floor(i / (features * 16)) * 16 + (i % 16);
        if (documents.of[token] !== changed) expect(b[i]).toBe(value);
        else if (b[i] !== value) differ++;
      });
      expect(differ).toBeGreaterThan(0);
    });
  });
});

/** The same tensors with numbers of up to a million in the tokens of one document. */
function disturb(documents: Documents, inputs: Tensors, document: number): Tensors {
  const loud = (x: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> => {
    const features = x.length / (documents.tiles * 16);
    return x.map((value, i) => (documents.of[Math.floor(i / (features * 16)) * 16 + (i % 16)] === document ? value * 3e5 : value));
  };
  return { q: loud(inputs.q), k: loud(inputs.k), v: loud(inputs.v), dO: loud(inputs.dO) };
}
