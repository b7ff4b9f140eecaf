import { expect, test } from 'vitest';
import { measure, speedUpOver, summary } from '../../src/bench/measure.ts';

test('median and quartiles', () => {
  expect(summary([5, 1, 4, 2, 3])).toEqual({ median: 3, low: 2, high: 4, rounds: 5 });
  expect(summary([4, 1, 2, 3])).toEqual({ median: 2.5, low: 1.75, high: 3.25, rounds: 4 });
  expect(summary([7])).toEqual({ median: 7, low: 7, high: 7, rounds: 1 });
});

test('cases take turns: no case runs twice before every other one has run', async () => {
  const calls: string[] = [];
  // Longer than a sample, so that each sample is one call.
  const wait = (name: string) => async () => {
    calls.push(name);
    await new Promise((resolve) => setTimeout(resolve, 4));
  };
  await measure(
    [
      { name: 'a', run: wait('a') },
      { name: 'b', run: wait('b') },
    ],
    { seconds: 0.1, leastRounds: 3, mostRounds: 5 },
  );
  // Two warm-ups and the first timing, then rounds.
  expect(calls.slice(0, 6)).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
  const rounds = calls.slice(6);
  expect(rounds.length).toBeGreaterThanOrEqual(6);
  rounds.forEach((name, i) => expect(name).toBe('ab'[i % 2]));
});

test('seconds that a case says itself count, and a spread that stays wide is marked, after as many rounds again', async () => {
  // Longer than a sample, so that each sample is one call.
  const says = async (seconds: number): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, 4));
    return seconds;
  };
  let [i, steady, wild] = [0, 0, 0];
  const timings = await measure(
    [
      { name: 'steady', run: () => (steady++, says(0.5)) },
      { name: 'wild', run: () => (wild++, says([1, 2][i++ % 2]!)) },
    ],
    { seconds: 1e-9, leastRounds: 6, mostRounds: 6 },
  );
  expect(timings.get('steady')).toMatchObject({ noisy: false, best: 0.5, seconds: { median: 0.5, rounds: 12 } });
  expect(timings.get('wild')).toMatchObject({ noisy: true, best: 1, seconds: { median: 1.5, low: 1, high: 2, rounds: 12 } });
  expect(steady).toBe(wild);
});

test('a speed-up is taken round by round: a machine that slows down and up again leaves it alone', () => {
  const pace = [1, 3, 1, 2, 1, 3, 2];
  const timing = (seconds: readonly number[]) => ({ samples: seconds, seconds: summary(seconds), best: 0, noisy: true });
  const slow = timing(pace.map((p) => 4 * p));
  const fast = timing(pace.map((p, i) => (i === 0 ? 4 : 2) * p));
  expect(speedUpOver(fast, slow)).toEqual({ speedUp: 2, spread: { low: 2, high: 2 } });
});

test('where nothing is noisy, no round is added', async () => {
  const timings = await measure([{ name: 'a', run: () => Promise.resolve(1) }], { seconds: 1e-9, leastRounds: 4, mostRounds: 9 });
  expect(timings.get('a')!.seconds.rounds).toBe(4);
});

test('a case that throws ends the measuring with its error', async () => {
  let calls = 0;
  const run = (): void => {
    if (++calls > 3) throw new Error('broken kernel');
  };
  await expect(measure([{ name: 'a', run }], { seconds: 1e-9, leastRounds: 2, mostRounds: 2 })).rejects.toThrow('broken kernel');
});
