/** Pruning from directory to directory, and what comes after it: the sparse model is one, whoever pruned it. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import fs from 'node:fs';
import { loadModel } from '../../src/io/model.ts';
import { patternFingerprint } from '../../src/models/model.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { inspect } from '../../src/tasks/inspect.ts';
import { prune } from '../../src/tasks/prune.ts';
import { STORIES, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

withShared('pruning directories', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  let data: string;
  beforeAll(() => (data = writeStories(at('data'), 60)));
  const patterns = (model: string): Set<string> =>
    new Set(
      inspect({ model })
        .layers.filter(({ name }) => name.endsWith('_proj'))
        .map(({ pattern }) => pattern),
    );
  const perplexity = async (model: string): Promise<number> =>
    (await evaluate({ model, data: join(data, 'valid.jsonl'), maxSeqLength: 64 })).perplexity;

  describe('SparseGPT', () => {
    test('the saved model is the one that was returned; it is better than magnitude, which moves nothing', async () => {
      const returned = await prune({ model: STORIES, data, out: at('sparsegpt'), method: 'sparsegpt' });
      const saved = loadModel(at('sparsegpt'));
      expect(patternFingerprint(saved)).toBe(patternFingerprint(returned));
      for (const [name, { values }] of returned.linears) expect(saved.linears.get(name)!.values, name).toEqual(values);
      expect(patterns(at('sparsegpt'))).toEqual(new Set(['2:4']));
      await prune({ model: STORIES, out: at('magnitude'), method: 'magnitude' });
      expect(await perplexity(at('sparsegpt'))).toBeLessThan(await perplexity(at('magnitude')));
    });

    test('any number of threads gives the same bits', async () => {
      const file = async (threads: number): Promise<Buffer> => {
        const out = at(`threads-${threads}`);
        await prune({ model: STORIES, data, out, method: 'sparsegpt', sparsity: '60%', threads });
        return fs.readFileSync(join(out, 'model.safetensors'));
      };
      expect((await file(3)).equals(await file(1))).toBe(true);
    });
  });

  test.each([
    ['sparsegpt', { prune: 'sparsegpt', sparsity: '2:4' }, ['2:4']],
    ['ria, inputs permuted', { prune: 'ria', sparsity: '2:4', channelPermutation: true }, ['unstructured']],
    ['ria in blocks, by outliers', { prune: 'ria', sparsity: '4x1:60%', allocation: 'owl' }, ['4x1']],
    ['sparsegpt, by outliers', { prune: 'sparsegpt', sparsity: '50%', allocation: 'owl', owlThreshold: 3 }, ['unstructured']],
  ] as const)('finetune --prune %s: trained, fused, and every zero of the base is still one', async (name, options, expected) => {
    const [out, fused] = [at(`tuned ${name}`), at(`fused ${name}`)];
    const base = join(out, 'pruned');
    await run({ model: STORIES, data, out, iters: 10, batchSize: 2, maxSeqLength: 64, rank: 4, learningRate: 1e-2, ...options });
    fuse({ model: base, adapter: out, out: fused });
    expect(patterns(base)).toEqual(new Set(expected));
    expect(patternFingerprint(loadModel(fused))).toBe(patternFingerprint(loadModel(base)));
    expect(await perplexity(fused)).toBeLessThan(await perplexity(base));
  });
});
