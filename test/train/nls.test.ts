import { describe, expect, test } from 'vitest';
import type { Ranks } from '../../src/train/nls.ts';
import { RankSampler, climb, everywhere, middleOf, rankChoice } from '../../src/train/nls.ts';

const GROUPS = ['a', 'b', 'c'];

describe('the choice of ranks', () => {
  test('is the largest first, whatever the order it was given in', () => {
    expect(rankChoice([8, 16, 12], 16)).toEqual([16, 12, 8]);
  });

  test('has each rank once, and the whole one among them', () => {
    expect(() => rankChoice([8, 8], 8)).toThrow('--nls-ranks: expected each rank once, got 8,8.');
    expect(() => rankChoice([8, 4], 16)).toThrow('--nls-ranks: expected the largest to be --rank, 16, got 8.');
    expect(() => rankChoice([32, 4], 16)).toThrow('got 32');
  });

  test("has SQFT's middle: of an even number the larger of the two", () => {
    expect([[16, 12, 8], [32, 24, 16, 8], [4, 2], [8]].map(middleOf)).toEqual([12, 24, 4, 8]);
  });
});

describe('drawing', () => {
  test('goes on from a state as if it had not stopped', () => {
    const whole = new RankSampler(GROUPS, [16, 12, 8], 7);
    const drawn = Array.from({ length: 9 }, () => whole.next());
    const first = new RankSampler(GROUPS, [16, 12, 8], 7);
    for (let i = 0; i < 4; i++) first.next();
    const second = new RankSampler(GROUPS, [16, 12, 8], first.state);
    expect(Array.from({ length: 5 }, () => second.next())).toEqual(drawn.slice(4));
  });

  test('takes every rank for every group, each as often, groups apart from each other', () => {
    const sampler = new RankSampler(GROUPS, [16, 12, 8], 1);
    const draws = Array.from({ length: 3000 }, () => sampler.next());
    // A share of n draws is off by more than five standard deviations once in two million.
    const near = (count: number, p: number): void =>
      expect(Math.abs(count - draws.length * p)).toBeLessThan(5 * Math.sqrt(draws.length * p * (1 - p)));
    for (const group of GROUPS) for (const rank of [16, 12, 8]) near(draws.filter((d) => d.get(group) === rank).length, 1 / 3);
    near(draws.filter((d) => d.get('a') === d.get('b')).length, 1 / 3);
  });
});

describe('hill-climbing', () => {
  const choice = [16, 12, 8, 4];
  /** A loss that is least at one sub-adapter, and falls on the way there. */
  const best: Record<string, number> = { a: 16, b: 4, c: 8 };
  const loss = (ranks: Ranks): number => GROUPS.reduce((sum, g) => sum + Math.abs(ranks.get(g)! - best[g]!), 1);

  test('comes to the best sub-adapter, one step of one group at a time, never twice to the same', async () => {
    const seen: Ranks[] = [];
    const turns: number[] = [];
    const found = await climb({
      groups: GROUPS,
      choice,
      turns: 60,
      seed: 3,
      evaluate: (ranks) => {
        seen.push(ranks);
        return Promise.resolve(loss(ranks));
      },
      onTurn: ({ turn, best: lowest, loss: now }) => {
        turns.push(turn);
        expect(lowest).toBeLessThanOrEqual(now);
      },
    });
    expect(Object.fromEntries(found.ranks)).toEqual(best);
    expect(found.loss).toBe(1);
    expect(seen[0]).toEqual(everywhere(GROUPS, middleOf(choice)));
    expect(new Set(seen.map((ranks) => [...ranks.values()].join())).size).toBe(seen.length);
    expect(turns).toEqual(seen.map((_, i) => i));
    // At the top every neighbour has been tried: it ends before its turns do.
    expect(seen.length).toBeLessThan(61);
  });

  test('stays where it starts when nothing is better, and has as many turns as it was given', async () => {
    let evaluated = 0;
    const found = await climb({
      groups: GROUPS,
      choice,
      turns: 4,
      seed: 0,
      evaluate: () => Promise.resolve(++evaluated),
    });
    expect(found).toEqual({ ranks: everywhere(GROUPS, 12), loss: 1 });
    expect(evaluated).toBe(5);
  });

  test('is ended by a signal after its turn, with the best so far', async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    const found = await climb({
      groups: GROUPS,
      choice,
      turns: 60,
      seed: 3,
      evaluate: (ranks) => Promise.resolve(loss(ranks)),
      onTurn: ({ turn, loss: now }) => seen.push(now) && turn === 3 && abort.abort(),
      signal: abort.signal,
    });
    expect(seen.length).toBe(4);
    expect(found.loss).toBe(Math.min(...seen));
  });

  test('with one rank to choose from there is nothing to climb', async () => {
    const found = await climb({ groups: GROUPS, choice: [8], turns: 9, seed: 0, evaluate: () => Promise.resolve(1) });
    expect(found.ranks).toEqual(everywhere(GROUPS, 8));
  });
});
