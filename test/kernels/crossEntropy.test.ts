import { expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { EPS, expectSplitFree, expectWithin, largest } from './claims.ts';
import { gaussians } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const random = new Random(13);
const TILES = 4;

/** Every third token has no label. */
const cases = [1, 5, 512].flatMap((V) =>
  [1, 20].map((spread) => {
    const logits = gaussians(random, TILES * V * 16, spread);
    const labels = Int32Array.from({ length: TILES * 16 }, (_, i) => (i % 3 ? random.below(V) : -1));
    const scale = Float32Array.of(1 / 40);
    // A positive sum of V terms, each exp within 2 ULP of an argument that was rounded itself.
    const relative = EPS * (V + 8 + 2 * largest(logits));
    return {
      name: `${V} words, spread ${spread}`,
      labels,
      V,
      loss: new KernelCall('crossEntropy', TILES, { loss: TILES * 16, logits, labels, V }),
      lossAllowed: relative + 4 * EPS * (2 * largest(logits) + Math.log(V)),
      gradient: new KernelCall('crossEntropyBackward', TILES, { loss: TILES * 16, logits, labels, scale, V }),
      gradientAllowed: (relative + 4 * EPS) * scale[0]!,
    };
  }),
);

eachFlavour((flavour) => {
  test.each(cases)('$name: loss of the label, 0 without one', ({ loss, lossAllowed, labels }) => {
    expectWithin(loss, flavour, lossAllowed);
    expectSplitFree(loss, flavour);
    const got = loss.run(flavour).get('loss')!;
    labels.forEach((label, t) => expect(label >= 0 || got[t] === 0).toBe(true));
  });

  test.each(cases)('$name: gradient in place of the logits, exactly 0 without a label, the same loss', (c) => {
    expectWithin(c.gradient, flavour, { loss: c.lossAllowed, logits: c.gradientAllowed });
    expectSplitFree(c.gradient, flavour);
    const got = c.gradient.run(flavour);
    expect(got.get('loss')).toEqual(c.loss.run(flavour).get('loss'));
    got.get('logits')!.forEach((d, i) => {
      const token = Math.floor(i / (c.V * 16)) * 16 + (i % 16);
      expect(c.labels[token]! >= 0 || d === 0).toBe(true);
    });
  });

  test('logits of -1e30 and of 1e30 are no NaN: a sum of exponentials does not overflow', () => {
    const logits = Float32Array.from({ length: 3 * 16 }, (_, i) => [-1e30, 0, 1e30][Math.floor(i / 16)]!);
    const labels = new Int32Array(16).fill(2);
    const got = new KernelCall('crossEntropyBackward', 1, { loss: 16, logits, labels, scale: Float32Array.of(1), V: 3 }).run(flavour);
    expect(got.get('loss')).toEqual(new Float32Array(16));
    expect(got.get('logits')!.every((d) => d === 0)).toBe(true);
  });
});
