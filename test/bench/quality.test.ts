/** Quality beside speed on stories260K: what the rows say is what prune, finetune and eval say by themselves. */
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parsePatterns } from '../../src/bench/patterns.ts';
import { measureQuality, withFront } from '../../src/bench/quality.ts';
import type { QualityRow } from '../../src/bench/types.ts';
import { FormatError } from '../../src/core/errors.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { finetune } from '../../src/tasks/finetune.ts';
import { prune } from '../../src/tasks/prune.ts';
import { STORIES, stories, temporaryDirectory, withShared, writeStories } from '../tasks/workspace.ts';

const row = (after: number, stepSeconds: number): QualityRow => ({
  ...{ pattern: '2:4', pruner: 'wanda', density: 0.5, before: 100, tokensPerSecond: 1, pareto: false },
  ...{ after, stepSeconds },
});

test('the front is what nothing beats in both: equals stay together, the slower of equally good goes', () => {
  const rows = [row(10, 1), row(9, 2), row(9, 3), row(11, 2), row(10, 1), row(12, 0.5)];
  expect(withFront(rows).map(({ pareto }) => pareto)).toEqual([true, true, false, false, true, true]);
});

withShared('quality, on stories260K', () => {
  const root = temporaryDirectory();
  const at = (name: string): string => join(root, name);
  const common = { threads: 1, kernels: 'plain', separator: 'file', maxSeqLength: 64 } as const;
  const recovery = { iters: 4, batchSize: 2, learningRate: 1e-2, rank: 4, seed: 5 };
  const plan = {
    model: STORIES,
    patterns: parsePatterns(['2:4', '4x1:70']),
    pruners: ['magnitude', 'wanda'] as const,
    ...common,
    ...recovery,
  };

  test('perplexities are those of the tasks; every pattern with every pruner, the dense model first', async () => {
    const data = writeStories(at('data'), 12);
    const told: QualityRow[] = [];
    const { rows, densePerplexity } = await measureQuality({ ...plan, data }, (r) => told.push(r));
    expect(rows.map(({ pattern, pruner }) => `${pattern} ${pruner}`)).toEqual([
      'dense none',
      ...['2:4 magnitude', '2:4 wanda', '4x1 magnitude', '4x1 wanda'],
    ]);
    expect(told.map(({ after }) => after)).toEqual(rows.map(({ after }) => after));
    expect(densePerplexity).toBe((await evaluate({ ...common, model: STORIES, data })).perplexity);
    await prune({ ...common, model: STORIES, data, out: at('pruned'), method: 'wanda', sparsity: '2:4', seed: 5 });
    expect(rows[2]!.before).toBe((await evaluate({ ...common, model: at('pruned'), data })).perplexity);
    await finetune({ ...common, ...recovery, alpha: 8, model: at('pruned'), data, out: at('run'), saveEvery: 0, stepsPerEval: 0 });
    expect(rows[2]!.after).toBe((await evaluate({ ...common, model: at('pruned'), adapter: at('run'), data })).perplexity);
    expect(rows.map(({ density }) => density.toFixed(2))).toEqual(['1.00', '0.50', '0.50', '0.30', '0.30']);
    for (const { after, before, stepSeconds, pattern } of rows) {
      expect(stepSeconds).toBeGreaterThan(0);
      if (pattern !== 'dense') expect(after).toBeLessThan(before);
    }
  });

  test('of a single file the last tenth is held out; a file of one line cannot be split', async () => {
    const file = at('all.txt');
    const lines = stories(40).map((story) => `${story}\n`);
    fs.writeFileSync(file, lines.join(''));
    const { rows } = await measureQuality({ ...plan, data: file, patterns: parsePatterns(['dense']) }, () => undefined);
    const length = lines.join('').length;
    let [kept, seen] = [0, 0];
    while (seen + lines[kept]!.length <= length * 0.9) seen += lines[kept++]!.length;
    fs.mkdirSync(at('split'));
    fs.writeFileSync(at('split/train.txt'), lines.slice(0, kept).join(''));
    fs.writeFileSync(at('split/test.txt'), lines.slice(kept).join(''));
    expect(rows[0]!.before).toBe((await evaluate({ ...common, model: STORIES, data: at('split') })).perplexity);
    fs.writeFileSync(at('one.txt'), 'One line alone');
    await expect(measureQuality({ ...plan, data: at('one.txt') }, () => undefined)).rejects.toThrow(FormatError);
  });
});
