/** Greedy decoding against PyTorch: a cache that is off by one token, or a position that is, changes the text at once. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { collect } from '../shared.ts';
import { generateIds } from '../../src/generate/generate.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { loadTokenizer } from '../../src/io/tokenizer.ts';
import { generate } from '../../src/tasks/generate.ts';
import { lors } from '../cli/lors.ts';
import { eachFlavour } from '../kernels/harness.ts';
import { sharedPath } from '../shared.ts';
import { STORIES, denseModel, withShared } from './stories.ts';

interface Greedy {
  readonly prompt: string;
  readonly ids: readonly number[];
  readonly text: string;
}

withShared('stories260K, decoded greedily', () => {
  const golden = (): Greedy => JSON.parse(readFileSync(sharedPath('golden', 'greedy.json'), 'utf8')) as Greedy;
  /** Tokens of the prompt, with BOS: what the rest of the ids go on from. */
  const promptIds = ({ prompt }: Greedy): number[] => {
    const { bosId, encode } = loadTokenizer(STORIES);
    return [bosId!, ...encode(prompt)];
  };

  eachFlavour((flavour) => {
    const greedy = { temperature: 0, topK: 0, topP: 1, seed: 0 };

    test('the ids are those of greedy.json', async () => {
      const want = golden();
      const prompt = promptIds(want);
      expect(want.ids.slice(0, prompt.length)).toEqual(prompt);
      const sessions = localSessions({ module: kernelModule(flavour).module });
      const ids = await collect(generateIds(denseModel(), prompt, { ...greedy, maxTokens: want.ids.length - prompt.length, sessions }));
      expect([...prompt, ...ids]).toEqual(want.ids);
    });

    test('generate() gives the text of greedy.json, piece by piece', async () => {
      const want = golden();
      const maxTokens = want.ids.length - promptIds(want).length;
      const pieces = await collect(generate({ model: STORIES, prompt: want.prompt, temperature: 0, maxTokens, kernels: flavour }));
      expect(want.prompt + pieces.join('')).toBe(want.text);
      expect(pieces.length).toBeGreaterThan(maxTokens / 2);
    });

    test('so does the command, with and without --json', async () => {
      const want = golden();
      const maxTokens = String(want.ids.length - promptIds(want).length);
      const flags = ['--model', STORIES, '--prompt', want.prompt, '--temperature', '0', '--max-tokens', maxTokens, '--kernels', flavour];
      const plain = await lors(['generate', ...flags]);
      expect(plain).toMatchObject({ code: 0, stdout: `${want.text}\n`, stderr: '' });
      const json = await lors(['generate', ...flags, '--json']);
      expect(json).toMatchObject({ code: 0, stdout: `${JSON.stringify({ event: 'result', text: want.text })}\n`, stderr: '' });
    });
  });
});
