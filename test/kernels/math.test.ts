import { expect, test } from 'vitest';
import { KernelCall, eachFlavour } from './harness.ts';
import type { Flavour } from '../../src/core/flavour.ts';

/** Distance from a wanted number in units of the last place of the f32 nearest to it. */
function ulps(got: number, want: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(Math.fround(want))));
  return Math.abs(got - want) / 2 ** (Math.max(exponent, -126) - 23);
}

/**
 * 2^x as kernels compute it, bit for bit: the backward pass of attention given statistics of our own, maximum 0 and
 * 1 / sum = 1, for one query whose one number that is not 0 is 1, as its dO is. Then dv of key j is 1 * 2^(key j - 0).
 */
function powersOfTwo(x: Float32Array, flavour: Flavour): Float32Array {
  const heads = Math.ceil(x.length / 16);
  // Heads have an even number of features: the second one of each is 0.
  const D = 2;
  const features = (first: (head: number, lane: number) => number): Float32Array =>
    Float32Array.from({ length: heads * D * 16 }, (_, i) => (Math.floor(i / 16) % D ? 0 : first(Math.floor(i / (16 * D)), i % 16)));
  const oneQuery = features((_, lane) => (lane ? 0 : 1));
  const call = new KernelCall('attentionBackward', heads, {
    dq: heads * D * 16,
    dk: heads * D * 16,
    dv: heads * D * 16,
    delta: heads * 16,
    dO: oneQuery,
    o: new Float32Array(heads * D * 16),
    stats: Float32Array.from({ length: heads * 32 }, (_, i) => (i % 32 < 16 ? 0 : 1)),
    q: oneQuery.slice(),
    k: features((head, lane) => x[head * 16 + lane] ?? 0),
    v: new Float32Array(heads * D * 16),
    first: new Uint32Array(16),
    last: Uint32Array.from({ length: 16 }, (_, i) => (i ? 0 : 15)),
    heads,
    kvHeads: heads,
    D,
    // The kernel's log2 e in f32 times this is 1.
    scaling: Math.fround(Math.LN2),
    parts: 1,
    tiles: 1,
  });
  const dv = call.run(flavour).get('dv') as Float32Array;
  return x.map((_, i) => dv[Math.floor(i / 16) * D * 16 + (i % 16)]!);
}

/** e / (1 + e), e = exp(x), x <= 0, as kernels compute it: the gradient of logits 0, whose label it is, and x. */
function sigmoids(x: Float32Array, flavour: Flavour): Float32Array {
  const tiles = Math.ceil(x.length / 16);
  const at = (i: number): number => (Math.floor(i / 16) * 2 + 1) * 16 + (i % 16);
  const logits = new Float32Array(tiles * 2 * 16);
  x.forEach((v, i) => (logits[at(i)] = v));
  const call = new KernelCall('crossEntropyBackward', tiles, {
    loss: tiles * 16,
    logits,
    labels: new Int32Array(tiles * 16),
    scale: Float32Array.of(1),
    V: 2,
  });
  const dz = call.run(flavour).get('logits') as Float32Array;
  return x.map((_, i) => dz[at(i)]!);
}

/** log(n + e) as kernels compute it: the loss of n logits 0 and one of x, label 0, where e = exp(x), x <= 0. */
function logarithms(n: number, x: Float32Array, flavour: Flavour): Float32Array {
  const tiles = Math.ceil(x.length / 16);
  const logits = new Float32Array(tiles * (n + 1) * 16);
  x.forEach((v, t) => (logits[(Math.floor(t / 16) * (n + 1) + n) * 16 + (t % 16)] = v));
  const call = new KernelCall('crossEntropy', tiles, { loss: tiles * 16, logits, labels: new Int32Array(tiles * 16), V: n + 1 });
  return (call.run(flavour).get('loss') as Float32Array).subarray(0, x.length);
}

const evenly = (count: number, low: number, high: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

eachFlavour((flavour) => {
  test.each([
    [-126, 127],
    [-1, 1],
    [-1e-3, 1e-3],
    [0.49, 0.51],
    [-25.1, -25],
  ])('exp2 is at most 2 ULP off from %f to %f', (low, high) => {
    const x = evenly(40_000, low, high);
    const got = powersOfTwo(x, flavour);
    const worst = x.reduce((m, v, i) => Math.max(m, ulps(got[i]!, 2 ** v)), 0);
    expect(worst).toBeLessThanOrEqual(2);
  });

  test('exp2(0) is 1: the first key of a document has probability 1', () => {
    expect(powersOfTwo(Float32Array.of(0, -0), flavour)).toEqual(Float32Array.of(1, 1));
  });

  test('exp2 is 0 where f32 would turn subnormal', () => {
    expect(powersOfTwo(Float32Array.of(-126.1, -1000, -1e30), flavour)).toEqual(new Float32Array(3));
  });

  test('exp2 of NaN is NaN: what is not a number is not hidden', () => {
    expect(powersOfTwo(Float32Array.of(NaN), flavour)[0]).toBeNaN();
  });

  // Addition, reciprocal and product round once each; an error of e is one of e / (1 + e) times 1 / (1 + e). Above 0: swiglu's test.
  test.each([
    [-87.25, 0],
    [-1, 0],
    [-17.4, -17.3],
  ])('exp is at most 2 ULP off from %f to %f', (low, high) => {
    const x = evenly(4_000, low, high);
    const got = sigmoids(x, flavour);
    const worst = x.reduce((m, v, i) => Math.max(m, ulps(got[i]!, Math.exp(v) / (1 + Math.exp(v)))), 0);
    expect(worst).toBeLessThanOrEqual(2 + 3);
  });

  test('exp is 0 where f32 would turn subnormal', () => {
    expect(sigmoids(Float32Array.of(-87.5, -1000, -1e30), flavour)).toEqual(new Float32Array(3));
  });

  test('log is at most 2 ULP off, of 1 to 2048', () => {
    const counts = Float32Array.from({ length: 2048 }, (_, t) => t + 1);
    const logits = new Float32Array(2048 * 2048).fill(-1000);
    counts.forEach((n, t) => {
      for (let v = 0; v < n; v++) logits[(Math.floor(t / 16) * 2048 + v) * 16 + (t % 16)] = 0;
    });
    const call = new KernelCall('crossEntropy', 128, { loss: 2048, logits, labels: new Int32Array(2048), V: 2048 });
    const got = call.run(flavour).get('loss') as Float32Array;
    expect(counts.reduce((m, n, t) => (n === 1 ? m : Math.max(m, ulps(got[t]!, Math.log(n)))), 0)).toBeLessThanOrEqual(2);
  });

  test.each([1, 2, 3, 7, 64, 1000])('log is at most 2 ULP off from %i to one more, but for what the sum rounds', (n) => {
    const x = evenly(n > 100 ? 1000 : 20_000, -17, 0);
    const got = logarithms(n, x, flavour);
    const worst = x.reduce((m, v, i) => {
      const [e, want] = [Math.exp(v), Math.log(n + Math.exp(v))];
      // exp is 2 ULP off, and the sum is rounded once for each of the n + 1 terms that is not an integer: the last.
      const sum = (2 * 2 ** -23 * e + 2 ** (Math.floor(Math.log2(n + 1)) - 24)) / (n + e);
      return Math.max(m, (Math.abs(got[i]! - want) - sum) / Math.abs(want) / 2 ** -23);
    }, 0);
    expect(worst).toBeLessThanOrEqual(2);
  });

  test('log(1) is 0: a certain token has no loss', () => {
    expect(logarithms(1, Float32Array.of(-100, -1000), flavour)).toEqual(new Float32Array(2));
  });
});
