/** Data and options that are refused, before the first step, with what was expected; nothing is left that a retry trips on. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../shared.ts';
import { FormatError, MemoryBudgetError, OutputError, UnsupportedError } from '../../src/core/errors.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import type { finetune } from '../../src/tasks/finetune.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { generate } from '../../src/tasks/generate.ts';
import { prune } from '../../src/tasks/prune.ts';
import { STORIES, filesOf, run, temporaryDirectory, variant, withShared, writeJsonl, writeStories } from './workspace.ts';

type Options = Parameters<typeof finetune>[0];

withShared('refused', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const put = (name: string, text: string | Uint8Array): string => {
    fs.writeFileSync(at(name), text);
    return at(name);
  };
  beforeAll(() => void writeStories(at('data'), 6));

  describe('data', () => {
    const rows = '{"text":"a b"}\n\n{"text":"c d"}\n';
    test.each<[what: string, name: string, content: string | Uint8Array, message: RegExp]>([
      ['an empty file', 'empty.txt', '', /data .*empty\.txt: expected at least one document, got an empty file\./],
      ['a file of blank lines', 'blank.jsonl', '\n\n', /data .*blank\.jsonl: expected at least one document, got an empty file\./],
      ['a row that is not JSON', 'bad.jsonl', `${rows}{"text": "e`, /bad\.jsonl line 4: not JSON: /],
      ['a row of no kind', 'kind.jsonl', `${rows}{"txt":"e"}`, /kind\.jsonl line 4: expected \{text\}, .*, got txt\./],
      [
        'rows of two kinds',
        'mixed.jsonl',
        `${rows}{"prompt":"e","completion":"f"}`,
        /mixed\.jsonl line 4: expected rows of one kind, text like the first/,
      ],
      ['a text that is a number', 'number.jsonl', `${rows}{"text":7}`, /number\.jsonl line 4: text: expected a string, got 7\./],
      ['text that is not UTF-8', 'latin.txt', Uint8Array.of(0x61, 0xe9, 0x62), /latin\.txt: .*UTF-8/],
      [
        'chat without a template',
        'chat.jsonl',
        '{"messages":[{"role":"user","content":"Hi"}]}',
        /chat template: expected one in .*, got none\. Use rows of/,
      ],
    ])('%s', async (_, name, content, message) => {
      const data = put(name, content);
      await expect(evaluate({ model: STORIES, data })).rejects.toThrow(message);
      await expect(run({ model: STORIES, data, out: at(`out-${name}`) })).rejects.toThrow(message);
      expect(fs.existsSync(at(`out-${name}`)), 'nothing is left of its output').toBe(false);
    });

    test('a format that is not read, a path that is not there, a directory without a train file', async () => {
      await expect(evaluate({ model: STORIES, data: put('table.csv', 'a,b') })).rejects.toThrow(UnsupportedError);
      await expect(evaluate({ model: STORIES, data: at('table.csv') })).rejects.toThrow(
        /data .*table\.csv: expected a \.txt or \.jsonl file, got \.csv\./,
      );
      await expect(evaluate({ model: STORIES, data: at('nowhere') })).rejects.toThrow(/data .*nowhere: expected .*, got nothing there\./);
      fs.mkdirSync(at('hollow'));
      await expect(evaluate({ model: STORIES, data: at('hollow') })).rejects.toThrow(
        /hollow: expected train\.jsonl or train\.txt in the directory, got neither\./,
      );
    });

    test('rows without a target: left out and counted; refused where they are all', async () => {
      // Without BOS and EOS an empty text has no token at all.
      const model = variant(at('bare'), {});
      fs.writeFileSync(join(model, 'tokenizer_config.json'), '{}');
      const some = writeJsonl(at('some.jsonl'), [{ text: '' }, { text: 'Lily ran.' }]);
      const { events } = await run({ model, data: some, out: at('some'), iters: 1, maxSeqLength: 64 });
      expect(events.find((e) => e.event === 'start')).toMatchObject({ trainDocuments: 1, droppedRows: 1 });
      const none = writeJsonl(at('none.jsonl'), [{ text: '' }, { text: '' }]);
      await expect(run({ model, data: none, out: at('none') })).rejects.toThrow(
        /data: expected at least one token to predict, got none in 2 rows\./,
      );
    });
  });

  describe('options', () => {
    test.each<
      [
        what: string,
        options: Partial<Options> & Record<string, unknown>,
        error: typeof RangeError | typeof MemoryBudgetError,
        message: RegExp,
      ]
    >([
      [
        'a rank larger than a layer',
        { rank: 33 },
        RangeError,
        /--rank: expected at most 32 for model\.layers\.0\.self_attn\.k_proj \(32 x 64\), got 33\./,
      ],
      ['a rank of nothing', { rank: 0 }, RangeError, /--rank: expected a whole number of at least 1, got 0\./],
      [
        'more tokens than positions',
        { maxSeqLength: 513 },
        RangeError,
        /--max-seq-length: expected at most the model's 512 positions, got 513\./,
      ],
      ['both measures of length', { iters: 1, epochs: 1 }, RangeError, /--iters and --epochs: expected one of them, got both\./],
      ['a gradient of no samples', { init: 'gradient', initSamples: 0 }, RangeError, /--init-samples: .* at least 1, got 0\./],
      ['a gradient without a pass', { init: 'gradient', initPasses: 0 }, RangeError, /--init-passes: .* at least 1, got 0\./],
      ['a gradient over nothing', { init: 'gradient', initGamma: 0 }, RangeError, /--init-gamma: .* above 0, got 0\./],
      [
        'a gradient for factors that are not there',
        { init: 'gradient', method: 'full' },
        RangeError,
        /--init gradient: expected a --method whose update is a product of two factors, got full\. Of full, it has no factors\./,
      ],
      [
        'a projection that there is not',
        { targetModules: ['q_proj', 'lm_head'] },
        RangeError,
        /--target-modules: expected some of q_proj, .*, got lm_head\./,
      ],
      [
        'a sparsity that is none',
        { prune: 'magnitude', sparsity: '4:2' },
        RangeError,
        /sparsity: expected N:M with 0 < N < M \(kept : group\), got 4:2\./,
      ],
      [
        'a pruner that there is not',
        { prune: 'random' as 'wanda' },
        RangeError,
        /--prune: expected one of magnitude, wanda, ria, sparsegpt, got random\./,
      ],
      [
        'a permutation of inputs for SparseGPT',
        { prune: 'sparsegpt', channelPermutation: true },
        RangeError,
        /channel permutation: expected magnitude, wanda or ria, got sparsegpt\./,
      ],
      [
        'shares of blocks where N:M fixes them',
        { prune: 'ria', allocation: 'owl' },
        RangeError,
        /OWL: expected a share such as 70% or 4x1:70%, got 2:4\./,
      ],
      [
        'shares that would leave what there is',
        { prune: 'ria', allocation: 'owl', owlLambda: 0.5 },
        RangeError,
        /--owl-lambda: expected a number above 0 and below 0\.5, got 0\.5\./,
      ],
      ['a learning rate of nothing', { learningRate: 0 }, RangeError, /--learning-rate: expected a number above 0, got 0\./],
      ['an option that there is not', { learningrate: 1 }, RangeError, /options: expected one of model, data, .*, got learningrate\./],
      [
        'a memory budget that the plan exceeds',
        { memory: 1_000_000 },
        MemoryBudgetError,
        /--memory: expected more than the \d+ MB that the process takes beside weights and training, got 1\.0 MB\./,
      ],
    ])('%s', async (_, options, error, message) => {
      const out = at('options');
      const events: unknown[] = [];
      const refused = run(
        { model: STORIES, data: at('data'), out, maxSeqLength: 64, ...options },
        {
          onEvent: (e) => events.push(e),
        },
      );
      await expect(refused).rejects.toThrow(error);
      await expect(refused).rejects.toThrow(message);
      expect(events, 'nothing was begun').toEqual([]);
      expect(fs.existsSync(out), 'nothing is left of its output').toBe(false);
    });

    test('a pruner without text; a prompt longer than the model', async () => {
      for (const method of ['wanda', 'ria', 'sparsegpt'] as const) {
        await expect(prune({ model: STORIES, out: at(method), method })).rejects.toThrow(
          `--data: expected calibration text for ${method}, got none. Magnitude pruning alone needs none.`,
        );
      }
      await expect(prune({ model: STORIES, out: at('owl'), method: 'magnitude', sparsity: '70%', allocation: 'owl' })).rejects.toThrow(
        /--data: expected calibration text for --allocation owl, got none\./,
      );
      await expect(prune({ model: STORIES, out: at('permuted'), sparsity: '50%', channelPermutation: true })).rejects.toThrow(
        /channel permutation: expected N:M such as 2:4, got 0\.5\./,
      );
      expect(fs.existsSync(at('permuted')), 'nothing was begun').toBe(false);
      await expect(collect(generate({ model: STORIES, prompt: 'a '.repeat(600) }))).rejects.toThrow(/512/);
      await expect(collect(generate({ model: STORIES, prompt: 'a', topP: 1.5 }))).rejects.toThrow(
        /top-p: expected a number above 0 and at most 1, got 1\.5/,
      );
    });
  });

  describe('an output directory that exists', () => {
    const kept = (): void => {
      fs.mkdirSync(at('mine'), { recursive: true });
      fs.writeFileSync(at('mine', 'thesis.txt'), 'years of work');
    };
    const message = /mine: expected a new or empty directory, got one with 1 entry\. Give --overwrite/;

    test('is kept as it is by every command that writes', async () => {
      kept();
      const out = at('mine');
      await expect(run({ model: STORIES, data: at('data'), out })).rejects.toThrow(OutputError);
      await expect(run({ model: STORIES, data: at('data'), out })).rejects.toThrow(message);
      await expect(prune({ model: STORIES, method: 'magnitude', out })).rejects.toThrow(message);
      await run({ model: STORIES, data: at('data'), out: at('adapter'), iters: 1, maxSeqLength: 64 });
      expect(() => fuse({ model: STORIES, adapter: at('adapter'), out })).toThrow(message);
      expect(filesOf(out)).toEqual(['thesis.txt']);
    });

    test('is written into when told, beside what is there', async () => {
      kept();
      await prune({ model: STORIES, method: 'magnitude', out: at('mine'), overwrite: true });
      expect(filesOf(at('mine'))).toEqual(['config.json', 'model.safetensors', 'thesis.txt', 'tokenizer.json', 'tokenizer_config.json']);
      expect(fs.readFileSync(at('mine', 'thesis.txt'), 'utf8')).toBe('years of work');
    });
  });

  test('an adapter that is not one, or only half', async () => {
    await expect(evaluate({ model: STORIES, data: at('data'), adapter: at('data') })).rejects.toThrow(FormatError);
    await expect(evaluate({ model: STORIES, data: at('data'), adapter: at('data') })).rejects.toThrow(/adapter_config\.json: missing\./);
  });
});
