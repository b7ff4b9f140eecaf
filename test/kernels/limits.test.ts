import { test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { expectExact } from './claims.ts';
import { integers } from './data.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const random = new Random(11);
const RUNS = 3;
const FLOATS = 16384;

eachFlavour((flavour) => {
  test.each([0, 1, 8, 21])('multiplyAdds does all of its %d turns: a peak is not measured by work that was left out', (turns) => {
    const x = integers(random, 8 * 16, 50);
    expectExact(new KernelCall('multiplyAdds', 5, { y: 5 * 16, x, w: Float32Array.of(3, -5, 7, 1), turns }), flavour);
  });

  test('readRuns reads every word: the only one that is set is found, in each of the 32 places of a turn', () => {
    const words = new Uint32Array(32 * FLOATS);
    for (let place = 0; place < 32; place++) words[place * FLOATS + random.below(FLOATS / 32) * 32 + place] = 2 ** place;
    expectExact(new KernelCall('readRuns', 32, { bits: 32 * 4, words }), flavour);
  });

  test('copyRuns copies every float, and nothing beyond', () => {
    expectExact(new KernelCall('copyRuns', RUNS, { y: RUNS * FLOATS, x: integers(random, RUNS * FLOATS, 50) }), flavour);
  });
});
