/** Every method by the same commands: trained, saved, fused, evaluated and generated with. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ADAPTER_METHODS, ruleOf } from '../../src/adapters/methods.ts';
import { loadAdapter } from '../../src/io/adapter.ts';
import { loadModel } from '../../src/io/model.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { keepMaskOf, unpack } from '../../src/sparse/pack.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import type { finetune } from '../../src/tasks/finetune.ts';
import { FINETUNE_METHODS } from '../../src/tasks/trainingOptions.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { generate } from '../../src/tasks/generate.ts';
import { prune } from '../../src/tasks/prune.ts';
import { collect } from '../shared.ts';
import { STORIES, filesOf, readJson, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

/** Weights that are zero in the base and not here, and the other way round. */
function changedZeros(base: LlamaModel, other: LlamaModel): { filled: number; emptied: number; pruned: number } {
  const counts = { filled: 0, emptied: 0, pruned: 0 };
  for (const [name, weight] of base.linears) {
    const tuned = other.linears.get(name)!;
    const values = unpack(tuned, tuned.values);
    keepMaskOf(weight).forEach((kept, i) => {
      if (!kept) counts.pruned++;
      if (!kept && values[i] !== 0) counts.filled++;
      if (kept && values[i] === 0) counts.emptied++;
    });
  }
  return counts;
}

withShared('every method, on stories260K', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const base = at('base');
  const say = { prompt: 'Lily saw', temperature: 0, maxTokens: 20 };
  let data: string;
  let text: { data: string; maxSeqLength: number };
  let before: number;
  beforeAll(async () => {
    data = writeStories(at('data'), 24);
    text = { data: join(data, 'valid.jsonl'), maxSeqLength: 64 };
    await prune({ model: STORIES, out: base, method: 'magnitude' });
    before = (await evaluate({ ...text, model: base })).perplexity;
  });
  const options = { iters: 50, rank: 4, batchSize: 2, maxSeqLength: 64, learningRate: 5e-3, saveEvery: 0, stepsPerEval: 0 } as const;

  describe.each(FINETUNE_METHODS)('%s', (method) => {
    const out = at(method);
    const fused = method === 'full' ? out : at(`${method}-fused`);
    const keepsZeros = method === 'full' || ruleOf(method).keepsZeros;
    let result: Awaited<ReturnType<typeof run>>;
    beforeAll(async () => {
      result = await run({ ...options, model: base, data, out, method });
      if (method !== 'full') fuse({ model: base, adapter: out, out: fused });
    });

    test('learns', () => {
      expect(result.events.find((e) => e.event === 'start')).toMatchObject({ method });
      expect(result.perplexity!).toBeLessThan(before / 2);
    });

    test(`after 50 steps and fusing, the zeros are ${keepsZeros ? 'exactly those of the base' : 'filled: it says so'}`, () => {
      const { filled, emptied, pruned } = changedZeros(loadModel(base), loadModel(fused));
      expect(emptied).toBe(0);
      expect(pruned).toBeGreaterThan(0);
      if (keepsZeros) expect(filled).toBe(0);
      else expect(filled).toBeGreaterThan(0.99 * pruned);
    });

    if (method === 'full') return;

    test('fused, it evaluates to what base and adapter do, and says the same', async () => {
      const [beside, merged] = [await evaluate({ ...text, model: base, adapter: out }), await evaluate({ ...text, model: fused })];
      // Plain LoRA runs beside the weight, in two sums instead of one; every other method is the same numbers.
      if (ruleOf(method).merges) expect(merged).toEqual(beside);
      else expect(merged.loss).toBeCloseTo(beside.loss, 5);
      expect(beside.perplexity).toBeCloseTo(result.perplexity!, 4);
      const texts = [{ model: base, adapter: out }, { model: fused }].map((from) => collect(generate({ ...say, ...from })));
      const [besideText, mergedText] = await Promise.all(texts);
      expect(mergedText).toEqual(besideText);
    });

    test('saves an adapter that says what it is', () => {
      expect(filesOf(out)).toContain('adapter_model.safetensors');
      const { peftType, formula } = ruleOf(method);
      expect(readJson(join(out, 'adapter_config.json'))).toMatchObject({
        peft_type: peftType,
        r: 4,
        ...(peftType === 'LORS' && { lors: { method, rule: formula } }),
      });
      expect(loadAdapter(out).config.method).toBe(method);
    });
  });

  test.each(ADAPTER_METHODS.filter((method) => ruleOf(method).merges))(
    '%s with merged weights kept ends at the same bits',
    async (method) => {
      const short = { ...options, iters: 3, model: base, data, method } as const;
      await run({ ...short, out: at(`${method}-again`) });
      await run({ ...short, out: at(`${method}-kept`), merge: 'keep' });
      expect(loadAdapter(at(`${method}-kept`)).modules).toEqual(loadAdapter(at(`${method}-again`)).modules);
    },
  );

  describe('refuses, before anything runs,', () => {
    type Options = Parameters<typeof finetune>[0];
    test.each<[string, Partial<Options>, RegExp]>([
      [
        'a gradient that a method does not have',
        { method: 'sp-lora', gradient: 'lors' },
        /^--gradient: expected exact with --method sp-lora, got lors/,
      ],
      ['a gradient of full training', { method: 'full', gradient: 'exact' }, /^--gradient: expected none with --method full, got exact/],
      [
        'keeping what is never merged',
        { method: 'lora', merge: 'keep' },
        /^--merge: expected a method that merges; lora never does, got keep/,
      ],
      ['keeping it in full training', { method: 'full', merge: 'keep' }, /^--merge: expected a method that merges; full never does/],
      [
        'a rank that does not divide the outputs, with spp',
        { method: 'spp', rank: 16 },
        /^--rank: expected a divisor of the 172 outputs of model\.layers\.0\.mlp\.gate_proj with --method spp, got 16\. The largest below it is 4\./,
      ],
      ['a rank larger than a layer', { method: 'hira', rank: 33 }, /^--rank: expected at most 32 for .*k_proj/],
    ])('%s', async (_, given, message) => {
      const refused = run({ ...options, model: base, data, out: at('refused'), ...given });
      await expect(refused).rejects.toThrow(RangeError);
      await expect(refused).rejects.toThrow(message);
    });

    test('the gradient that a method has anyway may be said', async () => {
      await run({ ...options, model: base, data, out: at('said'), iters: 1, method: 'sp-lora', gradient: 'exact' });
    });
  });
});
