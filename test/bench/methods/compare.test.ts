/** `compare` on stories260K: what its rows say is what fine-tuning, evaluating and fusing say by themselves. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { CompareEvent } from '../../../src/bench/methods/compare.ts';
import { compare } from '../../../src/bench/methods/compare.ts';
import type { CompareReport } from '../../../src/bench/methods/types.ts';
import { evaluate } from '../../../src/tasks/evaluate.ts';
import { prune } from '../../../src/tasks/prune.ts';
import { STORIES, run, stories, temporaryDirectory, withShared, writeJsonl, writeStories } from '../../tasks/workspace.ts';

const leftOvers = (): string[] => fs.readdirSync(tmpdir()).filter((name) => name.startsWith('lors-compare-'));

withShared('compare, on stories260K', () => {
  const root = temporaryDirectory();
  const at = (name: string): string => join(root, name);
  const shared = { maxSeqLength: 64, threads: 1, kernels: 'plain', seed: 2 } as const;
  const training = { ...shared, iters: 5, rank: 4, batchSize: 2 } as const;
  let data: string;
  let report: CompareReport;
  const told: CompareEvent[] = [];
  beforeAll(async () => {
    data = writeStories(at('data'), 12);
    await prune({ ...shared, model: STORIES, data, out: at('pruned'), method: 'magnitude', sparsity: '2:4' });
    const before = leftOvers();
    const given = {
      ...training,
      model: at('pruned'),
      data,
      methods: ['lors', 'lora', 'full'],
      learningRates: [1e-3, 8e-3],
      stepsPerEval: 2,
    };
    const { report: found, files } = await compare({ ...given, out: at('out') }, { onEvent: (event) => told.push(event) });
    report = found;
    expect(files).toEqual([join(at('out'), 'compare.json'), join(at('out'), 'compare.html')]);
    expect(leftOvers(), 'nothing is left in the temporary directory').toEqual(before);
  }, 120_000);

  test('every run is the fine-tuning of that method and rate; the best of each method is kept', async () => {
    expect(told.map(({ method, learningRate }) => `${method} ${learningRate}`)).toEqual(
      [0.001, 0.008].flatMap((rate) => ['lors', 'lora', 'full'].map((method) => `${method} ${rate}`)),
    );
    expect(report.runs.map((r) => ({ event: 'run', ...r }))).toEqual(told);
    for (const method of ['lors', 'full'] as const) {
      for (const learningRate of [1e-3, 8e-3]) {
        const out = at(`${method}-${learningRate}`);
        const { perplexity } = await run({ ...training, model: at('pruned'), data, method, learningRate, out, valBatches: 0 });
        expect(report.runs.find((r) => r.method === method && r.learningRate === learningRate)!.perplexity).toBe(perplexity);
      }
    }
    for (const row of report.rows) {
      const own = report.runs.filter(({ method }) => method === row.method).map(({ perplexity }) => perplexity!);
      expect(row.perplexity).toBe(Math.min(...own));
    }
  });

  test('curves begin at the perplexity of the model itself; the time is to what the worst of the kept ends at', async () => {
    const { perplexity } = await evaluate({ ...given(), model: at('pruned'), data, split: 'valid' });
    expect(report.before).toBe(perplexity);
    for (const { curve, secondsToTarget } of report.rows) {
      expect(curve.map(({ step }) => step)).toEqual([0, 2, 4, 5]);
      expect(curve[0]).toEqual({ step: 0, seconds: 0, perplexity });
      expect(secondsToTarget).toBeGreaterThan(0);
      expect(secondsToTarget).toBeLessThanOrEqual(curve.at(-1)!.seconds);
    }
    expect(report.target).toEqual({ perplexity: Math.max(...report.rows.map((row) => row.perplexity!)), by: 'worst' });
  });

  test('zeros, parameters and memory', () => {
    const [lors, lora, full] = report.rows;
    expect([lors!.zerosKept, full!.zerosKept]).toEqual([1, 1]);
    expect(lora!.zerosKept).toBeLessThan(0.01);
    expect(lors!.trainableParameters).toBe(23120);
    expect(full!.trainableParameters).toBeGreaterThan(100_000);
    for (const row of report.rows) {
      expect(row.tokensPerSecond).toBeGreaterThan(0);
      // Node itself is most of both.
      expect(row.peakBytes! / row.plannedBytes!).toBeGreaterThan(0.8);
      expect(row.peakBytes! / row.plannedBytes!).toBeLessThan(1.3);
    }
  });

  test('the files hold the report', () => {
    expect(JSON.parse(fs.readFileSync(join(at('out'), 'compare.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)));
    expect(fs.readFileSync(join(at('out'), 'compare.html'), 'utf8')).toContain(JSON.stringify(report.rows[0]!.tokensPerSecond));
  });

  test('prunes first where it is asked to, holds out the last tenth of a file, takes the time to what is asked', async () => {
    const file = writeJsonl(
      at('one.jsonl'),
      stories(40).map((text) => ({ text })),
    );
    const { report: found, files } = await compare({
      ...{ ...training, iters: 2, model: STORIES, data: file, methods: ['sqft', 'sqft'], learningRates: [1e-3] },
      ...{ prune: 'wanda', sparsity: '1:4', target: 2, merge: 'keep' },
    });
    expect(files).toEqual([]);
    expect(found.rows).toHaveLength(1);
    expect(found.rows[0]!.zerosKept).toBe(1);
    expect(found.rows[0]!.secondsToTarget).toBeUndefined();
    expect(found.target).toEqual({ perplexity: 2, by: 'asked' });
    // Of the last tenth alone, by its windows: 1:4 of this model has no good perplexity.
    expect(found.before).toBeGreaterThan(100);
  });

  test('a signal ends it in the middle of a run, and nothing is left', async () => {
    const abort = new AbortController();
    const given = { ...training, iters: 10_000, model: at('pruned'), data, methods: ['lors'], learningRates: [1e-3, 2e-3] };
    setTimeout(() => abort.abort(), 4000);
    await expect(compare(given, { signal: abort.signal })).rejects.toThrow(/abort/);
    expect(leftOvers()).toEqual([]);
  });

  test('what makes no sense is refused before anything is loaded, and leaves nothing', async () => {
    const bad = (given: object): Promise<unknown> => compare({ ...training, model: at('pruned'), data, ...given });
    await expect(bad({ methods: ['lors', 'dora'] })).rejects.toThrow(/--methods: expected some of lors, .*, got dora\./);
    await expect(bad({ learningRates: [1e-3, 0] })).rejects.toThrow(/--learning-rates: expected a number above 0, got 0\./);
    await expect(bad({ learningRates: [] })).rejects.toThrow(/--learning-rates: expected a list of numbers, got \[\]\./);
    await expect(bad({ target: 1 })).rejects.toThrow(/--target: expected a number above 1, got 1\./);
    await expect(bad({ out: root })).rejects.toThrow(/--overwrite/);
    await expect(bad({ methods: ['spp'], rank: 7 })).rejects.toThrow(/^spp: --rank: expected a divisor of the 64 outputs of/);
    expect(leftOvers()).toEqual([]);
  });

  const given = () => ({ maxSeqLength: 64, threads: 1, kernels: 'plain' }) as const;
});
