/** Models that are not stories260K as it is: untied, sharded, scaled rotary angles, 16-bit weights. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { loadModel, saveModel } from '../../src/io/model.ts';
import { parseConfig } from '../../src/models/config.ts';
import { castModel, withValues } from '../../src/models/fuse.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { ropeFrequencies } from '../../src/models/rope.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { evaluateModel } from '../../src/train/evaluate.ts';
import { GOLDEN_LENGTH, denseModel, sequences } from '../golden/stories.ts';
import { eachFlavour } from '../kernels/harness.ts';
import { STORIES, readJson, run, temporaryDirectory, variant, withShared, writeStories } from './workspace.ts';

withShared('models of other kinds', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const text = (): { data: string; maxSeqLength: number } => ({ data: at('data', 'valid.jsonl'), maxSeqLength: 64 });
  beforeAll(() => void writeStories(at('data'), 12));

  /** stories260K with a head of its own, `scale` times its embedding. */
  function untied(scale: number): LlamaModel {
    const model = denseModel();
    const { config, embedding } = model;
    const head = { ...embedding, values: (embedding.values as Float32Array).map((x) => x * scale) };
    const json = { ...config.json, tie_word_embeddings: false };
    return { ...model, config: { ...config, tied: false, json }, head };
  }

  test('an untied head is used: a copy of the embedding gives the same loss, one of zeros that of a guess', async () => {
    saveModel(untied(1), at('untied'), { copyFrom: STORIES });
    saveModel(untied(0), at('guess'), { copyFrom: STORIES });
    expect(loadModel(at('untied')).head).toBeDefined();
    expect(await evaluate({ ...text(), model: at('untied') })).toEqual(await evaluate({ ...text(), model: STORIES }));
    expect((await evaluate({ ...text(), model: at('guess') })).loss).toBeCloseTo(Math.log(512), 5);
  });

  test('a sharded model is the same model, and fine-tunes in full to one with both tables', async () => {
    saveModel(untied(1), at('sharded'), { copyFrom: STORIES, shardBytes: 300_000 });
    const { weight_map } = readJson(at('sharded', 'model.safetensors.index.json')) as { weight_map: Record<string, string> };
    expect(new Set(Object.values(weight_map)).size).toBeGreaterThan(3);
    expect(fs.existsSync(at('sharded', 'model.safetensors'))).toBe(false);
    expect(await evaluate({ ...text(), model: at('sharded') })).toEqual(await evaluate({ ...text(), model: at('untied') }));

    await run({ model: at('sharded'), data: at('data'), out: at('tuned'), method: 'full', iters: 3, maxSeqLength: 64, learningRate: 1e-3 });
    const tuned = loadModel(at('tuned'));
    const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => Array.from(a).every((x, i) => x === b[i]);
    expect(same(tuned.embedding.values, untied(1).embedding.values), 'the embedding trained').toBe(false);
    expect(same(tuned.head!.values, tuned.embedding.values), 'the head trained apart from it').toBe(false);
    expect((await evaluate({ ...text(), model: at('tuned') })).loss).toBeLessThan((await evaluate({ ...text(), model: STORIES })).loss);
  });

  describe('rope_scaling of type llama3', () => {
    const scaling = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const config = { model_type: 'llama', hidden_size: 2048, intermediate_size: 8192, num_hidden_layers: 1, num_attention_heads: 32 };
    const rest = { vocab_size: 8, rms_norm_eps: 1e-5 };

    /** As meta-llama/llama-models has it (apply_scaling), by wavelength. */
    function published(theta: number, headDim: number): number[] {
      const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = scaling;
      return Array.from({ length: headDim / 2 }, (_, d) => {
        const frequency = 1 / theta ** ((2 * d) / headDim);
        const wavelength = (2 * Math.PI) / frequency;
        if (wavelength < original / high) return frequency;
        if (wavelength > original / low) return frequency / factor;
        const smooth = (original / wavelength - low) / (high - low);
        return ((1 - smooth) * frequency) / factor + smooth * frequency;
      });
    }

    test.each([
      ['rope_scaling', { rope_theta: 500000, rope_scaling: scaling }],
      ['rope_parameters, of transformers 5', { rope_parameters: { ...scaling, rope_theta: 500000 } }],
    ])('frequencies are the published ones: %s', (_, rope) => {
      const got = ropeFrequencies(parseConfig({ ...config, ...rest, ...rope }, 'config.json'));
      const want = published(500000, 64);
      const plain = want.map((_f, d) => 500000 ** ((-2 * d) / 64));
      // The sizes of Llama 3.2 1B have all three kinds of frequency: kept, slowed, and between.
      expect(want.filter((f, d) => f === plain[d]! || Math.abs(f / plain[d]! - 1) < 1e-12).length).toBeGreaterThan(5);
      expect(want.filter((f, d) => Math.abs((f * 8) / plain[d]! - 1) < 1e-12).length).toBeGreaterThan(5);
      expect(got).toHaveLength(32);
      // Powers and quotients in f64, in another order: a few roundings.
      got.forEach((f, d) => expect(Math.abs(f / want[d]! - 1)).toBeLessThan(1e-13));
    });

    test('a model with it loads, and turns its positions more slowly', async () => {
      const slowed = { ...scaling, factor: 2, original_max_position_embeddings: 16 };
      variant(at('llama3'), { config: { rope_scaling: slowed } });
      variant(at('idle'), { config: { rope_scaling: { ...slowed, factor: 1 } } });
      const plain = await evaluate({ ...text(), model: STORIES });
      expect((await evaluate({ ...text(), model: at('llama3') })).loss).not.toBeCloseTo(plain.loss, 2);
      expect((await evaluate({ ...text(), model: at('idle') })).loss).toBeCloseTo(plain.loss, 6);
    });
  });

  describe('16-bit weights', () => {
    eachFlavour((flavour) => {
      const sessions = localSessions({ module: kernelModule(flavour).module });
      const lossOf = async (model: LlamaModel): Promise<number> =>
        (await evaluateModel(model, sequences('train', 'heldout').slice(0, 8), { maxSeqLength: GOLDEN_LENGTH, sessions })).loss;

      // Each weight is off by up to half a unit in its last place, 2^-12 and 2^-9 of it, with signs that do not agree: the loss is
      // off by less than that share of itself.
      test.each([
        ['F16', 2 ** -12],
        ['BF16', 2 ** -9],
      ] as const)('%s: nearly the perplexity of F32, and exactly that of F32 weights of the same values', async (dtype, share) => {
        const model = denseModel();
        const half = castModel(model, dtype);
        const loss = await lossOf(half);
        expect(loss).not.toBe(await lossOf(model));
        expect(Math.abs(loss / (await lossOf(model)) - 1)).toBeLessThan(share);
        expect(loss).toBe(await lossOf(castModel(half, 'F32')));
      });
    });

    test('come back from a file as they were, with norms', async () => {
      const half = castModel(withValues(denseModel(), {}), 'BF16');
      saveModel(half, at('bf16'), { dtype: 'BF16', copyFrom: STORIES });
      const back = loadModel(at('bf16'));
      expect(readJson(at('bf16', 'config.json'))).toMatchObject({ torch_dtype: 'bfloat16' });
      for (const [name, weight] of half.linears) expect(back.linears.get(name)!.values).toEqual(weight.values);
      expect(back.gains.get('model.norm')!.dtype).toBe('BF16');
      expect((await evaluate({ ...text(), model: at('bf16') })).loss).not.toBe((await evaluate({ ...text(), model: STORIES })).loss);
    });
  });
});
