import { describe, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { EPS, expectClose, expectExact, expectSplitFree, expectWithin, largest, tolerance } from './claims.ts';
import { gaussians, integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const random = new Random(11);
const NORMS = [
  [1, 3],
  [53, 4],
  [288, 3],
] as const;

const norms = NORMS.map(([K, tiles]) => {
  const [x, dy, init] = [gaussians(random, tiles * K * 16), gaussians(random, tiles * K * 16), gaussians(random, tiles * K * 16)];
  const gain = gaussians(random, K);
  const eps = Math.fround(1e-5);
  const forward = new KernelCall('rmsNorm', tiles, { y: x.length, rstd: tiles * 16, x, gain, K, eps });
  const rstd = Float32Array.from(forward.oracle().get('rstd')!);
  // Of a sum of squares every term is positive: at worst K roundings, halved by the root; then a few more.
  const relative = EPS * (K / 2 + 6);
  const own = largest(gain) * largest(dy) * largest(rstd);
  const mean = (tolerance(K, largest(gain) * largest(dy), largest(x)) / K) * largest(rstd) ** 3 * largest(x);
  return {
    name: `${K} features`,
    forward,
    forwardAllowed: { rstd: relative * largest(rstd), y: relative * largest(forward.oracle().get('y')!) },
    backward: [0 as const, init, 'dx'].map(
      (from) => new KernelCall('rmsNormBackward', tiles, { dx: from === 'dx' ? init : x.length, init: from, dy, x, rstd, gain, K }),
    ),
    backwardAllowed: 8 * EPS * own + mean + EPS * largest(init),
    gainExact: new KernelCall('rmsNormGainGrad', K, {
      dGain: integers(random, K),
      dy: integers(random, x.length),
      x: integers(random, x.length),
      rstd: integers(random, tiles * 16),
      K,
      tiles,
    }),
    gain: new KernelCall('rmsNormGainGrad', K, { dGain: new Float32Array(K), dy, x, rstd, K, tiles }),
    gainAllowed: tolerance(tiles * 16, largest(dy) * largest(rstd), largest(x)),
  };
});

/** Gates over all that exp takes, and beyond where it saturates. */
const gate = Float32Array.from({ length: 3 * 21 * 16 }, (_, i) => (i % 2 ? random.normal() * 4 : (i / 504 - 1) * 100));
const up = gaussians(random, gate.length);
const dy = gaussians(random, gate.length);
const F = 21;

/** The sigmoid's relative error: exp within 2 ULP (4 EPS), an addition, a division; beyond exp's range it is below this. */
const SIGMOID = 7 * EPS;
const UNDERFLOW = 1e-34;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

eachFlavour((flavour) => {
  describe.each(norms)('rmsNorm, $name', (n) => {
    test('normalises by its own token, over features only', () => {
      expectWithin(n.forward, flavour, n.forwardAllowed);
      expectSplitFree(n.forward, flavour);
    });

    test('backward subtracts the part along x, from its init', () => {
      for (const call of n.backward) {
        expectWithin(call, flavour, n.backwardAllowed);
        expectSplitFree(call, flavour);
      }
    });

    test('gain gradient adds over every token', () => {
      expectExact(n.gainExact, flavour);
      expectWithin(n.gain, flavour, n.gainAllowed);
    });
  });

  test('swiglu is accurate from gates of -100 to 100', () => {
    const call = new KernelCall('swiglu', 3, { y: gate.length, gate, up, F });
    const want = call.oracle().get('y')!;
    expectClose('swiglu', call.run(flavour).get('y')!, want, (i) => (SIGMOID + 2 * EPS) * Math.abs(want[i]!) + UNDERFLOW);
    expectSplitFree(call, flavour);
  });

  test.each([
    { name: 'into new buffers', dGate: gate.length, dUp: up.length },
    { name: 'in place', dGate: 'gate', dUp: 'up' },
  ])('swigluBackward is accurate, $name', ({ dGate, dUp }) => {
    const call = new KernelCall('swigluBackward', 3, { dGate, dUp, dy, gate, up, F });
    const got = call.run(flavour);
    // s (1 + g (1 - s)) may cancel: an error of each term, by its size.
    const slope = (i: number): number => sigmoid(gate[i]!) * (1 + 2 * Math.abs(gate[i]!)) * (2 * SIGMOID + 4 * EPS);
    expectClose('dGate', got.get('dGate')!, call.oracle().get('dGate')!, (i) => Math.abs(dy[i]! * up[i]!) * slope(i) + UNDERFLOW);
    const want = call.oracle().get('dUp')!;
    expectClose('dUp', got.get('dUp')!, want, (i) => (SIGMOID + 2 * EPS) * Math.abs(want[i]!) + UNDERFLOW);
    expectSplitFree(call, flavour);
  });
});
