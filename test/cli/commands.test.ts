/** Every command on a real model: where options come from, what it prints, and how a run is interrupted. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { STORIES, readJson, temporaryDirectory, withShared, writeStories } from '../tasks/workspace.ts';
import { lors, startLors } from './lors.ts';

/** Lines of standard output, each of which must be one JSON object. */
function jsonLines(stdout: string): Record<string, unknown>[] {
  expect(stdout.endsWith('\n')).toBe(true);
  const lines = stdout
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const line of lines) expect(Object.prototype.toString.call(line)).toBe('[object Object]');
  return lines;
}

withShared('the commands, on stories260K', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  let data: string;
  const base = (): string[] => ['--model', STORIES, '--data', data, '--max-seq-length', '64'];
  beforeAll(() => (data = writeStories(at('data'), 12)));

  test('flags go before YAML, YAML before defaults; YAML is spelled as the flags, with underscores or as the library', async () => {
    const yaml = at('options.yaml');
    fs.writeFileSync(
      yaml,
      [`model: ${STORIES}`, `data: ${data}`, `out: ${at('yaml-out')}`, 'rank: 4', 'alpha: 6', 'max-seq-length: 64', 'batch_size: 2']
        .concat([
          'stepsPerReport: 1',
          'iters: 2',
          'target-modules: [q_proj, v_proj]',
          'prune: magnitude',
          'sparsity: 1:4',
          'learning-rate: 1e-3',
        ])
        .concat(['memory: 2GB', 'rslora: true'])
        .join('\n'),
    );
    const { code, stdout, stderr } = await lors([
      'finetune',
      '--config',
      yaml,
      '--rank',
      '3',
      '--target-modules',
      'o_proj,up_proj',
      '--json',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const config = readJson(at('yaml-out', 'adapter_config.json'));
    expect(config).toMatchObject({ r: 3, lora_alpha: 6, use_rslora: true, target_modules: ['o_proj', 'up_proj'] });
    const steps = jsonLines(stdout).filter(({ event }) => event === 'step');
    // Cosine from the YAML's rate, the default schedule: 1e-3, then half of it.
    expect(steps.map(({ learningRate }) => learningRate)).toEqual([1e-3, 5e-4]);
    const { layers } = JSON.parse((await lors(['inspect', '--model', at('yaml-out', 'pruned'), '--json'])).stdout) as { layers: object[] };
    expect(layers[1]).toMatchObject({ pattern: '1:4', density: 0.25 });
  });

  test('from pruning to the fused model, with --json: one object a line on standard output, nothing on standard error', async () => {
    const json = async (...args: string[]): Promise<Record<string, unknown>[]> => {
      const { code, stdout, stderr } = await lors([...args, '--json']);
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
      return jsonLines(stdout);
    };
    const last = (lines: Record<string, unknown>[]): Record<string, unknown> => lines.at(-1)!;
    const pruned = await json('prune', ...base(), '--method', 'wanda', '--calibration-samples', '8', '--out', at('pruned'));
    expect(pruned.map(({ event }) => event)).toEqual(['prune', 'prune', 'prune', 'prune', 'prune', 'result']);
    expect(last(pruned)).toMatchObject({ projectionDensity: 0.5, out: at('pruned') });

    const model = ['--model', at('pruned')];
    const tuned = await json(
      'finetune',
      ...base(),
      ...model,
      '--out',
      at('tuned'),
      '--iters',
      '8',
      '--learning-rate',
      '0.01',
      '--steps-per-report',
      '4',
    );
    expect(tuned.map(({ event }) => event)).toEqual(['start', 'step', 'step', 'eval', 'save', 'done']);
    for (const line of tuned) for (const value of Object.values(line)) expect(value).not.toBeNull();

    const before = last(await json('eval', ...base(), ...model));
    const beside = last(await json('eval', ...base(), ...model, '--adapter', at('tuned')));
    await json('fuse', ...model, '--adapter', at('tuned'), '--out', at('fused'));
    const fused = last(await json('eval', ...base(), '--model', at('fused')));
    expect(fused).toEqual(beside);
    expect(beside['perplexity']).toBeLessThan(before['perplexity'] as number);

    const [was, is] = [at('pruned'), at('fused')].map((directory) => json('inspect', '--model', directory));
    const comparable = (report: Record<string, unknown>): unknown => ({ ...report, name: '' });
    expect(comparable(last(await is!))).toEqual(comparable(last(await was!)));
    expect(last(await was!)).toMatchObject({ projectionDensity: 0.5 });
  });

  test('SQFT: pruned, trained on INT4 with elastic ranks, searched, fused, with plain lines', async () => {
    const said = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await lors(args);
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
      return stdout;
    };
    const options = ['--prune', 'magnitude', '--method', 'sqft', '--quantize', 'int4', '--group-size', '32', '--iters', '4'];
    const nls = ['--nls-ranks', '2,6,4', '--nls-search', 'hill-climbing', '--nls-turns', '2'];
    const tuned = await said('finetune', ...base(), ...options, ...nls, '--out', at('sqft'));
    expect(tuned.match(/^search \d\/2 {2}valid loss \d+\.\d{4} {2}best \d+\.\d{4}$/gm)).toHaveLength(3);
    expect(readJson(at('sqft', 'adapter_config.json'))).toMatchObject({ r: 6, lors: { nls: { ranks: [6, 4, 2], sharing: 'block' } } });

    const model = ['--model', at('sqft', 'pruned')];
    const searching = ['--adapter', at('sqft', 'super'), '--data', data, '--max-seq-length', '64', '--nls-turns', '2'];
    const found = await said('search', ...model, ...searching, '--out', at('sqft-found'));
    expect(found).toMatch(
      /^turn 0 {2}loss \d+\.\d{4} {2}best \d+\.\d{4}\nturn 1 .*\nturn 2 .*\nperplexity \d+\.\d{4} .*; saved in .*sqft-found\n$/,
    );
    await said('fuse', ...model, '--adapter', at('sqft-found'), '--out', at('sqft-fused'));
    expect(fs.existsSync(at('sqft-fused', 'quantization_grid.safetensors'))).toBe(true);
    const plain = [...base(), '--kernels', 'plain'];
    expect(await said('eval', ...plain, '--model', at('sqft-fused'))).toBe(
      await said('eval', ...plain, ...model, '--adapter', at('sqft-found')),
    );
    expect(await said('inspect', '--model', at('sqft-fused'))).toMatch(/\n35 projections on INT4 grids, 32 inputs a group\n$/);
    expect(await said('quantize', ...model, '--out', at('rounded'))).toMatch(
      /^\d+\.\d+ % of the projections' weights are not zero; saved in/,
    );
  });

  test('piped and without --json: plain lines, no live line and no colours', async () => {
    const { code, stdout, stderr } = await lors(['finetune', ...base(), '--out', at('plain'), '--iters', '3', '--steps-per-report', '2']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u001b]/);
    expect(stdout).toMatch(/^lors on .*stories260K: [\d,]+ trainable parameters, (plain|relaxed) kernels, \d+ threads?$/m);
    expect(stdout).toMatch(/^plan: [\d.]+ MB resident, the arena in it: .*activations/m);
    expect(stdout).toMatch(/^step 2\/3 {2}loss \d+\.\d{4} .* tokens\/s .* left {2}peak [\d.]+ MB$/m);
    expect(stdout).toMatch(/^done: 3 steps in \d+s, peak [\d.]+ MB; results in .*plain$/m);
    const table = await lors(['inspect', '--model', STORIES]);
    expect(table.stdout).toMatch(/^model\.layers\.0\.self_attn\.q_proj +64 x 64 +F32 +dense +100\.00 % +16\.4 kB +16\.4 kB$/m);
    expect((await lors(['eval', ...base()])).stdout).toMatch(
      /^perplexity \d+\.\d{4} {2}loss \d+\.\d{6} {2}tokens \d+ {2}\((plain|relaxed) kernels, \d+ threads?\)\n$/,
    );
  });

  test('generate with the same seed says the same, with another something else, whatever the temperature leaves open', async () => {
    const say = async (seed: string): Promise<string> =>
      (await lors(['generate', '--model', STORIES, '--prompt', 'Once', '--max-tokens', '24', '--temperature', '1', '--seed', seed])).stdout;
    const [first, again, other] = [await say('1'), await say('1'), await say('2')];
    expect(first).toMatch(/^Once/);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test('an output directory that exists is exit code 1, and what it holds stays', async () => {
    fs.mkdirSync(at('mine'));
    fs.writeFileSync(at('mine', 'notes.txt'), 'mine');
    const { code, stdout, stderr } = await lors(['prune', '--model', STORIES, '--method', 'magnitude', '--out', at('mine')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^lors: .*mine: expected a new or empty directory, got one with 1 entry\. Give --overwrite to write into it/);
    expect(fs.readdirSync(at('mine'))).toEqual(['notes.txt']);
  });

  test('a run that is refused at the last moment ends the process too: no thread is left behind', async () => {
    const args = ['finetune', ...base(), '--iters', '1', '--out', at('short')];
    expect((await lors(args)).code).toBe(0);
    const { code, stderr } = await lors([...args, '--rank', '8', '--resume', at('short')]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^lors: --resume .*: rank: expected 16 as in the interrupted run, got 8\.$/m) as string,
    });
  });

  describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
    test('ends a run after its step: exit code 130, a checkpoint, and --resume goes on to the same bytes', async () => {
      const args = (out: string): string[] => [
        'finetune',
        ...base(),
        '--iters',
        '60',
        '--rank',
        '4',
        '--steps-per-report',
        '1',
        '--out',
        at(out),
        '--json',
      ];
      let sent = false;
      const running = startLors(args(signal), (soFar) => {
        // Once: a second one kills.
        if (!sent && soFar.includes('"event":"step"')) sent = running.signal(signal);
      });
      const { code, stdout, stderr } = await running.finished;
      expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
      const done = jsonLines(stdout).at(-1)!;
      expect(done).toMatchObject({ event: 'done', interrupted: true, steps: 60 });
      const step = done['step'] as number;
      expect(step).toBeLessThan(60);
      expect(fs.readdirSync(at(signal)).sort()).toEqual([`checkpoint-${step}`, 'log.jsonl']);

      const resumed = await lors([...args(signal), '--resume', at(signal)]);
      expect(resumed.code).toBe(0);
      expect(jsonLines(resumed.stdout)[0]).toMatchObject({ event: 'start', firstStep: step });
      expect((await lors(args(`${signal}-whole`))).code).toBe(0);
      const [got, want] = [signal, `${signal}-whole`].map((out) => fs.readFileSync(at(out, 'adapter_model.safetensors')));
      expect(got!.equals(want!)).toBe(true);
    });
  });
});
