/** Models that are refused, each with what is wrong, where, and what was expected: never guessed at, never half-loaded. */
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { loadModel, saveModel } from '../../src/io/model.ts';
import { denseModel } from '../golden/stories.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { prune } from '../../src/tasks/prune.ts';
import type { Change } from './workspace.ts';
import { STORIES, run, temporaryDirectory, variant, withShared, writeStories } from './workspace.ts';

withShared('a model is refused', () => {
  const root = temporaryDirectory();
  let count = 0;
  const fresh = (): string => join(root, `model-${count++}`);

  describe('for its config.json', () => {
    test.each<[what: string, config: Change['config'], message: RegExp]>([
      [
        'another model_type',
        { model_type: 'qwen2' },
        /config\.json: model_type: expected llama, got "qwen2"\. This package runs Llama models only\./,
      ],
      ['no model_type', { model_type: undefined }, /config\.json: model_type: expected llama, got nothing\./],
      ['attention_bias', { attention_bias: true }, /config\.json: attention_bias: expected false, got true\./],
      ['mlp_bias', { mlp_bias: true }, /config\.json: mlp_bias: expected false, got true\./],
      ['another activation', { hidden_act: 'gelu' }, /config\.json: hidden_act: expected silu, got "gelu"\./],
      [
        'another rope scaling',
        { rope_scaling: { rope_type: 'yarn', factor: 4 } },
        /config\.json: rope_scaling type: expected llama3 or none, got "yarn"\./,
      ],
      [
        'another rope scaling, in the older spelling',
        { rope_scaling: { type: 'linear', factor: 4 } },
        /config\.json: rope_scaling type: expected llama3 or none, got "linear"\./,
      ],
      [
        'quantized weights',
        { quantization_config: { bits: 4 } },
        /config\.json: quantization_config: expected none, got "a quantized model"\./,
      ],
      ['an odd head size', { head_dim: 7 }, /config\.json: head_dim: expected an even number \(rotary pairs\), got 7\./],
    ])('%s', (_, config, message) => {
      const directory = variant(fresh(), { config: config! });
      expect(() => loadModel(directory)).toThrow(UnsupportedError);
      expect(() => loadModel(directory)).toThrow(message);
    });

    test.each<[what: string, config: Change['config'], message: RegExp]>([
      ['no hidden size', { hidden_size: undefined }, /config\.json: hidden_size: expected a positive whole number, got nothing\./],
      ['half a layer', { num_hidden_layers: 2.5 }, /config\.json: num_hidden_layers: expected a positive whole number, got 2\.5\./],
      ['heads that do not group', { num_key_value_heads: 3 }, /config\.json: num_key_value_heads: expected a divisor of 8 heads, got 3\./],
      [
        'rope scaling without its factor',
        { rope_scaling: { rope_type: 'llama3', low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 } },
        /config\.json: rope_scaling\.factor: expected a positive number, got nothing\./,
      ],
      ['a theta of zero', { rope_theta: 0 }, /config\.json: rope_theta: expected a positive number, got 0\./],
      [
        'a shape that contradicts it',
        { intermediate_size: 176 },
        /model\.layers\.0\.mlp\.gate_proj\.weight: expected shape \[176, 64\] from config\.json, got \[172, 64\]\. Does config\.json belong to these weights\?/,
      ],
      [
        'more layers than there are',
        { num_hidden_layers: 6 },
        /model\.layers\.5\.self_attn\.q_proj\.weight: expected a tensor of shape \[64, 64\], got none\./,
      ],
      [
        'a vocabulary larger than the embedding',
        { vocab_size: 513 },
        /vocabulary: expected at most the 512 rows of model\.embed_tokens\.weight, got vocab_size 513 in config\.json\./,
      ],
      [
        'an untied head that is not there',
        { tie_word_embeddings: false },
        /lm_head\.weight: expected a tensor \(tie_word_embeddings is not true\), got none\./,
      ],
    ])('%s', (_, config, message) => {
      const directory = variant(fresh(), { config: config! });
      expect(() => loadModel(directory)).toThrow(FormatError);
      expect(() => loadModel(directory)).toThrow(message);
    });

    test('one that is missing, or not JSON', () => {
      const directory = variant(fresh(), {});
      fs.writeFileSync(join(directory, 'config.json'), '{"model_type": "llama",');
      expect(() => loadModel(directory)).toThrow(/config\.json: not JSON/);
      fs.rmSync(join(directory, 'config.json'));
      expect(() => loadModel(directory)).toThrow(/config\.json: missing\./);
    });
  });

  describe('for its weights', () => {
    test.each<[what: string, value: number, at: number]>([
      ['NaN', NaN, 70],
      ['infinity', -Infinity, 0],
    ])('%s among them', (_, value, at) => {
      const spoil = (name: string, w: Float32Array): Float32Array =>
        /layers\.3.*down_proj/.test(name) ? w.map((x, i) => (i === at ? value : x)) : w;
      const directory = variant(fresh(), { tensor: spoil });
      expect(() => loadModel(directory)).toThrow(FormatError);
      expect(() => loadModel(directory)).toThrow(
        new RegExp(`model\\.layers\\.3\\.mlp\\.down_proj\\.weight: expected finite numbers, got NaN or infinity at element ${at}\\.`),
      );
    });

    test.each(['F16', 'BF16'] as const)('NaN among %s weights, norms too', (dtype) => {
      const model = denseModel();
      const gains = new Map([...model.gains, ['model.norm', { dtype: 'F32', values: new Float32Array(64).fill(NaN) }] as const]);
      const directory = fresh();
      saveModel({ ...model, gains }, directory, { dtype });
      expect(() => loadModel(directory)).toThrow(/model\.norm\.weight: expected finite numbers, got NaN or infinity at element 0\./);
    });

    test('a tensor that is missing, or a bias that is there', () => {
      const missing = variant(fresh(), { tensor: (name, w) => (name === 'model.layers.4.mlp.up_proj.weight' ? undefined : w) });
      expect(() => loadModel(missing)).toThrow(
        /model\.layers\.4\.mlp\.up_proj\.weight: expected a tensor of shape \[172, 64\], got none\./,
      );
      const model = variant(fresh(), {});
      // A tensor that stands in for one that is not needed: the file keeps its size and gets a bias by name.
      const path = join(model, 'model.safetensors');
      const bytes = fs.readFileSync(path);
      const name = 'model.layers.0.self_attn.q_proj.weight';
      const start = bytes.indexOf(`"${name}"`);
      bytes.write(`"${name.replace('.weight', '.bias')}"  `, start);
      fs.writeFileSync(path, bytes);
      expect(() => loadModel(model)).toThrow(
        /model\.layers\.0\.self_attn\.q_proj: expected a projection without bias, got one with a bias\./,
      );
    });

    test('a file that is missing, truncated, or has its tensors overlap', () => {
      const directory = variant(fresh(), {});
      const path = join(directory, 'model.safetensors');
      const bytes = fs.readFileSync(path);
      fs.truncateSync(path, bytes.byteLength - 1000);
      expect(() => loadModel(directory)).toThrow(
        /model\.safetensors: data: expected \d+ bytes, got \d+\. The file is truncated: copy or download it again\./,
      );
      fs.truncateSync(path, 100);
      expect(() => loadModel(directory)).toThrow(/model\.safetensors: header: expected \d+ bytes, got 92\. The file is truncated/);
      const begin = /"data_offsets":\[(\d+),(\d+)\]/g;
      const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
      const second = [...header.matchAll(begin)].find(([, from]) => from !== '0')!;
      const moved = [Number(second[1]) - 4, Number(second[2]) - 4].join(',');
      expect(moved.length).toBe(`${second[1]},${second[2]}`.length);
      const overlapping = Buffer.from(bytes);
      overlapping.write(`"data_offsets":[${moved}]`, 8 + second.index);
      fs.writeFileSync(path, overlapping);
      expect(() => loadModel(directory)).toThrow(
        /model\.safetensors: tensor "[\w.]+" overlaps "[\w.]+": expected its data to begin at byte \d+, got \d+\./,
      );
      fs.rmSync(path);
      expect(() => loadModel(directory)).toThrow(/expected model\.safetensors or model\.safetensors\.index\.json, got neither\./);
      expect(() => loadModel(join(root, 'nowhere'))).toThrow(
        /model .*nowhere: expected a directory with config\.json .*, got nothing there\./,
      );
    });

    test('an index that names a missing shard', () => {
      const directory = fresh();
      saveModel(denseModel(), directory, { shardBytes: 300_000 });
      fs.rmSync(join(directory, 'model-00002-of-00004.safetensors'));
      expect(() => loadModel(directory)).toThrow(
        /model\.safetensors\.index\.json: [\w.]+: expected its shard model-00002-of-00004\.safetensors, got no such file\. Was the download complete\?/,
      );
    });
  });

  describe('for its tokenizer', () => {
    test('with more tokens than the embedding has rows; before anything is written', async () => {
      const directory = variant(fresh(), {
        config: { vocab_size: 500 },
        tensor: (name, w) => (name === 'model.embed_tokens.weight' ? w.slice(0, 500 * 64) : w),
        shape: (name, shape) => (name === 'model.embed_tokens.weight' ? [500, 64] : shape),
      });
      const data = writeStories(join(root, 'data'), 4);
      const message =
        /tokenizer: expected a vocabulary of at most 500, the rows of the embedding, got 512\. Does it belong to this model\?/;
      await expect(evaluate({ model: directory, data })).rejects.toThrow(message);
      await expect(prune({ model: directory, data, out: join(root, 'no') })).rejects.toThrow(message);
      await expect(run({ model: directory, data, out: join(root, 'no') })).rejects.toThrow(message);
      expect(fs.existsSync(join(root, 'no'))).toBe(false);
    });

    test('that is missing, or no tokenizer', async () => {
      const directory = variant(fresh(), {});
      const data = writeStories(join(root, 'data'), 4);
      fs.writeFileSync(join(directory, 'tokenizer.json'), '{}');
      await expect(evaluate({ model: directory, data })).rejects.toThrow(
        /tokenizer\.json: expected a tokenizer, got one that cannot be built/,
      );
      fs.rmSync(join(directory, 'tokenizer.json'));
      await expect(evaluate({ model: directory, data })).rejects.toThrow(/tokenizer\.json: missing\./);
    });
  });

  test('for a group of N:M that does not divide its inputs; before pruning starts', async () => {
    // 172 inputs of down_proj are no multiple of 8.
    const events: unknown[] = [];
    const refused = prune({ model: STORIES, method: 'magnitude', sparsity: '4:8', out: join(root, 'pruned') }, (e) => events.push(e));
    await expect(refused).rejects.toThrow(
      /model\.layers\.0\.mlp\.down_proj: inputs: expected a multiple of 8, the group of 4:8, got 172\. Choose a smaller group, or a share such as 0\.5\./,
    );
    expect(events).toEqual([]);
    expect(fs.existsSync(join(root, 'pruned'))).toBe(false);
  });
});
