/** `lors compare` as a command: its lines, its table, and what it refuses. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { STORIES, temporaryDirectory, withShared, writeStories } from '../tasks/workspace.ts';
import { lors } from './lors.ts';

withShared('lors compare', () => {
  const root = temporaryDirectory();
  const command = ['compare', '--model', STORIES, '--data', writeStories(join(root, 'data'), 8)].concat(
    ...['--prune magnitude --methods lors,sp-lora --iters 2 --rank 4 --batch-size 2 --max-seq-length 64 --threads 1'.split(' ')],
  );

  test('with --json one object a line; without, a line a method and the findings', async () => {
    const json = await lors([...command, '--learning-rates', '1e-3,5e-3', '--json']);
    expect({ code: json.code, stderr: json.stderr }).toEqual({ code: 0, stderr: '' });
    const events = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event }) => event)).toEqual(['run', 'run', 'run', 'run', 'result']);
    expect(events.slice(0, 4).map(({ method, learningRate }) => [method, learningRate])).toEqual([
      ['lors', 1e-3],
      ['sp-lora', 1e-3],
      ['lors', 5e-3],
      ['sp-lora', 5e-3],
    ]);
    expect(events.at(-1)).toMatchObject({ schema: 'lors-compare/1', rows: [{ method: 'lors' }, { method: 'sp-lora' }], files: [] });

    const text = await lors([...command, '--learning-rates', '1e-3', '--out', join(root, 'out')]);
    expect({ code: text.code, stderr: text.stderr }).toEqual({ code: 0, stderr: '' });
    const lines = text.stdout.split('\n');
    expect(lines[0]).toMatch(/^lors at 0\.001: perplexity \d/);
    expect(lines.find((line) => line.startsWith('method'))).toMatch(
      /best rate +perplexity before +after +tokens\/s +time to [\d.]+ +planned +measured +trainable +zeros kept$/,
    );
    expect(lines.filter((line) => /^(?:lors|sp-lora) {2}/.test(line.replace(/^lors +/, 'lors  ')) && line.endsWith('all'))).toHaveLength(2);
    expect(text.stdout).toMatch(/- Of the methods that keep every zero, /);
    expect(text.stdout).toContain(`saved ${join(root, 'out', 'compare.html')}\n`);
  });

  test('a rate that is no number is a wrong command line', async () => {
    const { code, stdout, stderr } = await lors([...command, '--learning-rates', '1e-3,fast']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe('lors: --learning-rates: expected a number above 0, got fast.\n');
  });
});
