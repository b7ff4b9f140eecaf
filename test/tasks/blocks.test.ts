/** Block-sparse models from pruning to text: blocks stay whole, their zeros stay zero, and where weights live changes nothing. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../shared.ts';
import { loadModel, saveModel } from '../../src/io/model.ts';
import { patternFingerprint } from '../../src/models/model.ts';
import { BLOCK_NAMES } from '../../src/sparse/block.ts';
import { unpack } from '../../src/sparse/pack.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { generate } from '../../src/tasks/generate.ts';
import { inspect } from '../../src/tasks/inspect.ts';
import { prune } from '../../src/tasks/prune.ts';
import { STORIES, interruptAt, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

withShared('block-sparse models', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const tune = { iters: 6, batchSize: 2, maxSeqLength: 64, rank: 4, learningRate: 1e-2 } as const;
  let data: string;
  beforeAll(() => (data = writeStories(at('data'), 16)));
  const text = (): { data: string; maxSeqLength: number } => ({ data: join(data, 'valid.jsonl'), maxSeqLength: 64 });
  const say = { prompt: 'Lily saw', temperature: 0, maxTokens: 16 };
  const adapter = (out: string): Buffer => fs.readFileSync(join(out, 'adapter_model.safetensors'));

  describe.each(BLOCK_NAMES)('%s', (block) => {
    const [tuned, fused] = [at(`tuned-${block}`), at(`fused-${block}`)];
    const base = join(tuned, 'pruned');
    beforeAll(async () => {
      await run({ ...tune, model: STORIES, data, out: tuned, prune: 'wanda', sparsity: `${block}:50%`, threads: 1 });
      fuse({ model: base, adapter: tuned, out: fused });
    });

    test('every projection is found to be of these blocks again, of the share that was asked for', () => {
      for (const { name, pattern, density, packedBytes, denseBytes } of inspect({ model: base }).layers) {
        if (!name.includes('proj')) continue;
        expect([name, pattern]).toEqual([name, block]);
        // 172 inputs are 43 groups of four, of which 22 are kept.
        expect(density).toBeCloseTo(name.endsWith('down_proj') && block.endsWith('x4') ? 22 / 43 : 0.5, 6);
        // Half of the values, and a few bytes of index.
        expect(packedBytes / denseBytes).toBeLessThan(0.6);
      }
    });

    test("fused, exactly the base's zeros are zero and every kept weight of a trained matrix may have moved", () => {
      const [before, after] = [loadModel(base), loadModel(fused)];
      expect(patternFingerprint(after)).toBe(patternFingerprint(before));
      for (const [name, weight] of before.linears) {
        const [was, is] = [unpack(weight, weight.values), unpack(after.linears.get(name)!, after.linears.get(name)!.values)];
        let changed = 0;
        was.forEach((w, i) => {
          if ((w === 0) !== (is[i] === 0)) throw new Error(`${name}[${i}]: ${w} became ${is[i]}.`);
          if (w !== is[i]) changed++;
        });
        expect(changed, name).toBeGreaterThan(weight.kept / 3);
      }
    });

    test('the fused model evaluates to, and says, what base and adapter do; training has helped', async () => {
      const beside = await evaluate({ ...text(), model: base, adapter: tuned });
      expect(await evaluate({ ...text(), model: fused })).toEqual(beside);
      expect(beside.loss).toBeLessThan((await evaluate({ ...text(), model: base })).loss - 0.1);
      expect(await collect(generate({ ...say, model: fused }))).toEqual(await collect(generate({ ...say, model: base, adapter: tuned })));
    });

    test.each(['memory', 'file'] as const)('weights in %s, and two threads, give the same adapter and the same text', async (weights) => {
      const out = at(`${weights}-${block}`);
      await run({ ...tune, model: base, data, out, weights, threads: 2 });
      const again = at(`again-${block}`);
      if (!fs.existsSync(again)) await run({ ...tune, model: base, data, out: again, threads: 1 });
      expect(adapter(out).equals(adapter(again))).toBe(true);
      expect(await collect(generate({ ...say, model: fused, weights }))).toEqual(await collect(generate({ ...say, model: fused })));
    });

    test.each([
      ['exact', { gradient: 'exact' }],
      ['full', { method: 'full' }],
    ] as const)('%s: interrupted and resumed, it is the run that was not', async (name, method) => {
      const [whole, out] = [at(`whole-${name}-${block}`), at(`resumed-${name}-${block}`)];
      await run({ ...tune, ...method, model: base, data, out: whole });
      await run({ ...tune, ...method, model: base, data, out }, interruptAt(3));
      await run({ ...tune, ...method, model: base, data, out, resume: out });
      const result = name === 'full' ? 'model.safetensors' : 'adapter_model.safetensors';
      expect(fs.readFileSync(join(out, result)).equals(fs.readFileSync(join(whole, result)))).toBe(true);
      if (name === 'full') expect(patternFingerprint(loadModel(out))).toBe(patternFingerprint(loadModel(base)));
    });

    test.each(['F16', 'BF16'] as const)('in %s, fused in it, the blocks are the same', async (dtype) => {
      const half = at(`${dtype}-${block}`);
      saveModel(loadModel(base), half, { dtype, copyFrom: base });
      await run({ ...tune, model: half, data, out: join(half, 'tuned') });
      fuse({ model: half, adapter: join(half, 'tuned'), out: join(half, 'fused') });
      const model = loadModel(join(half, 'fused'));
      expect(patternFingerprint(model)).toBe(patternFingerprint(loadModel(base)));
      for (const weight of model.linears.values()) expect(weight).toMatchObject({ format: 'block', pattern: block, dtype });
      // Base and adapter are not rounded to 16 bits after merging; the fused model's weights are, by up to half a unit in the
      // last place each, 2^-12 and 2^-9 of it, with signs that do not agree: the loss is off by less than that share of itself.
      const beside = await evaluate({ ...text(), model: half, adapter: join(half, 'tuned') });
      const { loss } = await evaluate({ ...text(), model: join(half, 'fused') });
      expect(Math.abs(loss - beside.loss)).toBeLessThanOrEqual({ F16: 2 ** -12, BF16: 2 ** -9 }[dtype] * beside.loss);
    });
  });

  test('lors prune by magnitude, without data', async () => {
    await prune({ model: STORIES, out: at('magnitude'), method: 'magnitude', sparsity: '4x1:70%' });
    expect(inspect({ model: at('magnitude') }).projectionDensity).toBeCloseTo(0.3, 2);
  });
});
