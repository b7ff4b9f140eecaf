import { expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { CHUNK } from '../../src/kernels/table.ts';
import { EPS, expectExact, expectSplitFree, expectWithin, largest } from './claims.ts';
import { gaussians, integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const CHUNKS = 5;
const random = new Random(5);
const floats = CHUNKS * CHUNK;

/** Step 3 of AdamW with a clip: lr, b1, b2, eps, c1, c2, clip; an eps large enough to show where it is added. */
const hyper = Float32Array.of(1e-3, 0.9, 0.999, 0.01, 1 / (1 - 0.9 ** 3), 1 / (1 - 0.999 ** 3), 0.7);
const start = {
  parameters: gaussians(random, floats),
  m: gaussians(random, floats, 0.1),
  v: gaussians(random, floats, 0.1).map((g) => g * g + 1e-4),
  gradients: gaussians(random, floats),
};

eachFlavour((flavour) => {
  test.each([0, 0.25])('adamw, decay %f: PyTorch order of decay and step, moments without bias correction in them', (decay) => {
    const call = new KernelCall('adamw', CHUNKS, { ...start, hyper, decay });
    // m and v are sums of two rounded products of three factors; the step divides, takes a root and multiplies: ten roundings.
    const [m, v] = [largest(call.oracle().get('m')!), largest(call.oracle().get('v')!)];
    const step = largest(
      start.m.map((_, i) => (call.oracle().get('m')![i]! * 1e-3 * hyper[4]!) / Math.sqrt(call.oracle().get('v')![i]! * hyper[5]!)),
    );
    expectWithin(call, flavour, { m: 4 * EPS * m, v: 6 * EPS * v, parameters: 3 * EPS * largest(start.parameters) + 20 * EPS * step });
    expectSplitFree(call, flavour);
  });

  test('adamw with zero gradients and zero moments moves nothing: the padding of a run stays 0', () => {
    const zeros = new Float32Array(floats);
    const call = new KernelCall('adamw', CHUNKS, {
      parameters: zeros,
      m: zeros.slice(),
      v: zeros.slice(),
      gradients: zeros.slice(),
      hyper,
      decay: 0.25,
    });
    expect(
      call
        .run(flavour)
        .get('parameters')!
        .every((p) => p === 0),
    ).toBe(true);
  });

  test('sumSquares: one f64 partial a chunk, none from another one', () => {
    expectExact(new KernelCall('sumSquares', CHUNKS, { partials: CHUNKS, x: integers(random, floats, 50) }), flavour);
    // Beyond what f32 holds: the squares must be summed as f64.
    expectExact(
      new KernelCall('sumSquares', CHUNKS, { partials: CHUNKS, x: integers(random, floats, 50).map((i) => i + 2 ** 20) }),
      flavour,
    );
  });

  test.each([
    { name: 'a norm above the bound scales down', squares: [9, 16, 0], maxNorm: 1 },
    { name: 'a norm below it changes nothing', squares: [0.01, 0.02, 0], maxNorm: 1 },
    { name: 'maxNorm 0 means no clipping', squares: [1e6, 0, 3], maxNorm: 0 },
    { name: 'no gradient at all is no division by zero', squares: [0, 0, 0], maxNorm: 1 },
  ])('clipScale: $name', ({ squares, maxNorm }) => {
    const partials = Float64Array.from(squares);
    const call = new KernelCall('clipScale', 1, { norm: 1, clip: 1, partials, n: 3, maxNorm });
    expectWithin(call, flavour, { norm: EPS * call.oracle().get('norm')![0]!, clip: EPS });
  });

  test('clipScale: only the worker that owns the one unit writes', () => {
    const call = new KernelCall('clipScale', 1, { norm: 1, clip: 1, partials: Float64Array.of(4), n: 1, maxNorm: 1 });
    expect(call.run(flavour, [[0, 0]]).get('norm')![0]).toBe(12345);
  });

  test('featureSquares: f64 sums over the tokens that there are, added to what is there', () => {
    const [K, tiles] = [13, 3];
    const total = Float64Array.from({ length: K }, (_, k) => k);
    const x = integers(random, tiles * K * 16, 50);
    expectExact(new KernelCall('featureSquares', K, { total, x, K, tokens: tiles * 16 - 7 }), flavour);
  });

  test('clear: whole chunks, its own only', () => {
    expectExact(new KernelCall('clear', CHUNKS, { x: floats }), flavour);
    const part = new KernelCall('clear', CHUNKS, { x: floats }).run(flavour, [[1, 3]]).get('x')!;
    expect(part.findIndex((v) => v === 0)).toBe(CHUNK);
    expect(part.lastIndexOf(0)).toBe(3 * CHUNK - 1);
  });
});
