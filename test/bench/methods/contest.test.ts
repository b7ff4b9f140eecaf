/** Runs in processes of their own: that they wait their turn, end as they would alone, and say which of them went wrong. */
import { fork } from 'node:child_process';
import type * as Os from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { contest } from '../../../src/bench/methods/contest.ts';
import type { RunResult } from '../../../src/bench/methods/contest.ts';
import type { Order, Told } from '../../../src/bench/methods/contestant.ts';
import { DivergenceError, MemoryBudgetError } from '../../../src/core/errors.ts';
import type { finetune } from '../../../src/tasks/finetune.ts';
import { STORIES, run, temporaryDirectory, withShared, writeStories } from '../../tasks/workspace.ts';

const machine = vi.hoisted(() => ({ memory: undefined as number | undefined }));
vi.mock('node:os', async (original) => {
  const os = await original<typeof Os>();
  return { ...os, totalmem: () => machine.memory ?? os.totalmem() };
});
afterEach(() => (machine.memory = undefined));

const CONTESTANT = new URL('../../../dist/bench/methods/contestant.js', import.meta.url);

withShared('a contest on stories260K', () => {
  const root = temporaryDirectory();
  let common: Omit<Parameters<typeof finetune>[0], 'out'>;
  beforeAll(() => {
    const data = writeStories(join(root, 'data'), 12);
    common = { model: STORIES, data, iters: 6, rank: 4, batchSize: 2, maxSeqLength: 64, learningRate: 5e-3, threads: 1, kernels: 'plain' };
    common = { ...common, saveEvery: 0, stepsPerEval: 3, valBatches: 0, stepsPerReport: 6 };
  });

  test('a contestant makes as many updates as it is told to, then waits', async () => {
    const child = fork(CONTESTANT, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const heard: string[] = [];
    const waiting = (): Promise<void> =>
      new Promise((resolve) => child.on('message', (told: Told) => (told.told === 'waiting' || told.told === 'done') && resolve()));
    child.on('message', (told: Told) => {
      if (told.told !== 'event') heard.push(told.told);
      if (told.told === 'here') child.send({ order: 'start', options: { ...common, out: join(root, 'alone') } } satisfies Order);
    });
    const turn = async (updates: number): Promise<void> => {
      const until = waiting();
      child.send({ order: 'go', updates } satisfies Order);
      await until;
    };
    const ended = new Promise((resolve) => child.on('exit', resolve));
    await waiting();
    await turn(2);
    await turn(3);
    expect(heard).toEqual(['here', 'waiting', 'update', 'update', 'waiting', 'update', 'update', 'update', 'waiting']);
    await turn(3);
    expect(heard.slice(9)).toEqual(['update', 'done']);
    expect(await ended).toBe(0);
  });

  test('runs side by side end where each ends alone; a curve has its evaluations, and time only goes on', async () => {
    const plans = new Map(
      (['lors', 'lora'] as const).map((method) => [method as string, { ...common, method, out: join(root, `beside-${method}`) }]),
    );
    const results = await contest(plans);
    for (const [name, options] of plans) {
      const result = results.get(name) as RunResult;
      const alone = await run({ ...options, out: join(root, `${name}-alone`) });
      const evaluations = alone.events.flatMap((e) => (e.event === 'eval' ? [[e.step, e.perplexity]] : []));
      expect(result.curve.map(({ step, perplexity }) => [step, perplexity])).toEqual(evaluations);
      expect(result.curve[0]!.seconds).toBeGreaterThan(0);
      expect(result.curve[1]!.seconds).toBeGreaterThan(result.curve[0]!.seconds);
      expect(result.start.trainableParameters).toBe(23120);
      expect(result.peakBytes).toBeGreaterThan(result.start.plannedBytes * 0.8);
    }
  });

  test('one that diverges is left out, the others go on', async () => {
    const results = await contest(
      new Map([
        ['calm', { ...common, out: join(root, 'calm') }],
        ['wild', { ...common, learningRate: 1e30, maxGradNorm: 0, out: join(root, 'wild') }],
      ]),
    );
    expect(results.get('wild')).toBeInstanceOf(DivergenceError);
    expect((results.get('wild') as Error).message).toMatch(/^wild: step \d+: /);
    expect((results.get('calm') as RunResult).curve).toHaveLength(2);
  });

  test('what is wrong with one ends all, before the first update, with its name', async () => {
    const plans = new Map([
      ['first', { ...common, out: join(root, 'first') }],
      ['second', { ...common, rank: 100, out: join(root, 'second') }],
    ]);
    const refused = contest(plans);
    await expect(refused).rejects.toThrow(RangeError);
    await expect(refused).rejects.toThrow(/^second: --rank: expected at most 64 for .*q_proj/);
  });

  test('more than the machine has is refused before the first update', async () => {
    machine.memory = 5e7;
    const refused = contest(new Map([['lors', { ...common, out: join(root, 'large') }]]));
    await expect(refused).rejects.toThrow(MemoryBudgetError);
    await expect(refused).rejects.toThrow(/^lors: their plans together need [\d.]+ MB, but the machine has 50\.0 MB\. Fewer --methods/);
  });
});
