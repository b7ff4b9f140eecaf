/**
 * A run that is interrupted and goes on is the run that was not, bit for bit: parameters, moments, the order of the data,
 * the log. Hunts for state that a checkpoint forgets.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { probeFlavour } from '../../src/kernels/load.ts';
import type { finetune } from '../../src/tasks/finetune.ts';
import { parseHeader } from '../../src/io/safetensorsFormat.ts';
import { STORIES, interruptAt, readJson, readLines, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

type Options = Parameters<typeof finetune>[0];

/** What time and place change from run to run. */
const CLOCKS = new Set(['tokens', 'tokensPerSecond', 'secondsLeft', 'peakBytes', 'seconds']);

function comparableLog(out: string): unknown[] {
  return readLines(join(out, 'log.jsonl')).map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !CLOCKS.has(name))));
}

function expectSameResult(got: string, want: string, steps: number, model: boolean): void {
  const checkpoint = `checkpoint-${steps}`;
  const result = model ? 'model.safetensors' : 'adapter_model.safetensors';
  for (const name of [result, join(checkpoint, result), join(checkpoint, 'training_state.safetensors')]) {
    const same = fs.readFileSync(join(got, name)).equals(fs.readFileSync(join(want, name)));
    expect(same, `${name} of ${got} has the bytes of ${want}`).toBe(true);
  }
  expect(readJson(join(got, checkpoint, 'trainer_state.json'))).toEqual(readJson(join(want, checkpoint, 'trainer_state.json')));
  expect(comparableLog(got)).toEqual(comparableLog(want));
}

/** Changes the last bit of the first weight of an F32 tensor that is not 0. */
function changeWeight(path: string, name: string): void {
  const bytes = fs.readFileSync(path);
  const { tensors, dataStart } = parseHeader(bytes);
  const { dtype, begin } = tensors.get(name)!;
  expect(dtype).toBe('F32');
  let at = dataStart + begin;
  while (bytes.readFloatLE(at) === 0) at += 4;
  bytes[at]! ^= 1;
  fs.writeFileSync(path, bytes);
}

const METHODS = [
  ['lors', { method: 'lors', prune: 'wanda' }],
  ['exact', { method: 'lors', gradient: 'exact', prune: 'magnitude' }],
  ['lora', { method: 'lora', prune: 'magnitude', rslora: true }],
  ['lors from the gradient', { method: 'lors', prune: 'wanda', init: 'gradient', initSamples: 5 }],
  ['sqft, merged weights kept', { method: 'sqft', merge: 'keep', prune: 'magnitude' }],
  ['spp', { method: 'spp', prune: 'magnitude', rank: 4 }],
  ['hira', { method: 'hira', prune: 'magnitude' }],
  ['full', { method: 'full', prune: 'magnitude', weightDecay: 0.1 }],
] as const;

withShared('resume', () => {
  const root = temporaryDirectory();
  let data: string;
  let common: Omit<Options, 'out'>;
  beforeAll(() => {
    data = writeStories(join(root, 'data'), 22);
    common = {
      model: STORIES,
      data,
      iters: 9,
      rank: 5,
      batchSize: 2,
      gradAccumulationSteps: 2,
      maxSeqLength: 64,
      learningRate: 5e-3,
      warmup: 2,
      // Neither divides a step at which a run below is interrupted: losses of a report lie on both sides of it.
      stepsPerReport: 4,
      stepsPerEval: 5,
      saveEvery: 0,
    };
  });

  describe.each(METHODS)('%s', (name, method) => {
    const whole = join(root, `${name}-whole`);
    beforeAll(async () => {
      await run({ ...common, ...method, out: whole });
    }, 60_000);

    // Nine batches an epoch, two a step: step 2 ends in the first epoch, and step 5 takes the last batch of one epoch and the
    // first of the next.
    test.each([
      [2, { epoch: 0, row: 8 }],
      [6, { epoch: 1, row: 6 }],
    ])('interrupted after step %i, at %o', async (step, cursor) => {
      const out = join(root, `${name}-${step}`);
      const first = await run({ ...common, ...method, out }, interruptAt(step));
      expect(first).toMatchObject({ interrupted: true, steps: step });
      expect(readJson(join(out, `checkpoint-${step}`, 'trainer_state.json'))).toMatchObject({ global_step: step, cursor });
      expect(fs.existsSync(join(out, 'adapter_model.safetensors')), 'no result before the end').toBe(false);
      const second = await run({ ...common, ...method, out, resume: out });
      expect(second.events.find((e) => e.event === 'start')).toMatchObject({ firstStep: step, steps: 9 });
      expect(
        second.events.some((e) => e.event === 'init'),
        'its factors are in the checkpoint',
      ).toBe(false);
      expectSameResult(out, whole, 9, method.method === 'full');
    });

    test('recomputing blocks, before the interruption or after, changes nothing', async () => {
      const out = join(root, `${name}-recompute`);
      await run({ ...common, ...method, out, recompute: 'block' }, interruptAt(5));
      await run({ ...common, ...method, out, resume: join(out, 'checkpoint-5') });
      expectSameResult(out, whole, 9, method.method === 'full');
    });
  });

  test('interrupted twice, and once before its first step', async () => {
    const method = METHODS[0][1];
    const out = join(root, 'thrice');
    await run({ ...common, ...method, out }, { signal: AbortSignal.abort() });
    expect(fs.existsSync(join(out, 'checkpoint-0'))).toBe(true);
    await run({ ...common, ...method, out, resume: out }, interruptAt(3));
    await run({ ...common, ...method, out, resume: out }, interruptAt(7));
    await run({ ...common, ...method, out, resume: out });
    expectSameResult(out, join(root, 'lors-whole'), 9, false);
  });

  test('a finished run with a constant learning rate goes on with more steps, as if they had been asked for at once', async () => {
    const constant = { ...common, method: 'lors', lrSchedule: 'constant' } as const;
    const [whole, out] = [join(root, 'constant-whole'), join(root, 'constant')];
    await run({ ...constant, out: whole });
    await run({ ...constant, out, iters: 4 });
    await run({ ...constant, out, resume: out });
    const tensors = (of: string): Buffer => fs.readFileSync(join(of, 'checkpoint-9', 'training_state.safetensors'));
    expect(tensors(out).equals(tensors(whole))).toBe(true);
  });

  test('from an earlier checkpoint of a run that went further: the later lines of the log are written again, not twice', async () => {
    const method = METHODS[0][1];
    const out = join(root, 'earlier');
    await run({ ...common, ...method, out, saveEvery: 3 });
    await run({ ...common, ...method, out, resume: join(out, 'checkpoint-3') });
    expectSameResult(out, join(root, 'lors-whole'), 9, false);
  });

  describe('is refused, naming what differs', () => {
    const out = join(root, 'refused');
    const method = METHODS[0][1];
    beforeAll(async () => {
      await run({ ...common, ...method, out }, interruptAt(1));
    });

    test.each<[string, () => Partial<Options>, RegExp]>([
      ['another rank', () => ({ rank: 6 }), /--resume .*: rank: expected 5 as in the interrupted run, got 6\./],
      ['another learning rate', () => ({ learningRate: 1e-3 }), /learningRate: expected 0\.005 as in the interrupted run, got 0\.001\./],
      ['another gradient', () => ({ gradient: 'exact' }), /gradient: expected "lors" .*got "exact"/],
      ['another start', () => ({ init: 'gradient' }), /init: expected "kaiming" .*got "gradient"/],
      ['another seed', () => ({ seed: 1 }), /seed: expected 0 .*got 1/],
      ['another number of steps', () => ({ iters: 10 }), /iters: expected 9 .*got 10/],
      ['no number of steps, where there was one', () => ({ iters: undefined }), /iters: expected 9 as in the interrupted run, got none\./],
      [
        'other data',
        () => ({ data: writeStories(join(root, 'other'), 22, 2) }),
        /: data: expected "[^"]+" as in the interrupted run, got "[^"]+"\./,
      ],
    ])('%s', async (_, change, message) => {
      const refused = run({ ...common, ...method, out, resume: out, ...change() });
      await expect(refused).rejects.toThrow(FormatError);
      await expect(refused).rejects.toThrow(message);
    });

    test.skipIf(probeFlavour() === 'plain')('other kernels, which round otherwise', async () => {
      const refused = run({ ...common, ...method, out, resume: out, kernels: 'plain' });
      await expect(refused).rejects.toThrow(/: kernels: expected "relaxed" as in the interrupted run, got "plain"\./);
    });

    test.each([
      ['0.0.9', /one of 0\.0\.9\. Another version may add in another order/],
      [undefined, /one of an unknown version\./],
    ])('another version, %s', async (version, got) => {
      const [copy, state] = [join(root, 'other version'), join('checkpoint-1', 'trainer_state.json')];
      fs.cpSync(out, copy, { recursive: true });
      fs.writeFileSync(join(copy, state), JSON.stringify({ ...(readJson(join(copy, state)) as object), version }));
      const refused = run({ ...common, ...method, out, resume: copy });
      await expect(refused).rejects.toThrow(FormatError);
      await expect(refused).rejects.toThrow(got);
    });

    test('another base, of other masks', async () => {
      const refused = run({ ...common, ...method, prune: undefined, out: join(root, 'dense'), resume: out });
      await expect(refused).rejects.toThrow(/: model: expected "[^"]+" as in the interrupted run, got "[^"]+"\./);
    });

    describe('another base of the same masks', () => {
      const base = join(root, 'other base');
      const resumed = (): ReturnType<typeof run> =>
        run({ ...common, ...method, model: base, prune: undefined, out: join(root, 'other base out'), resume: out });
      const refusal = /: model: expected "([^-]+)-[^"]+" as in the interrupted run, got "\1-[^"]+"\./;
      beforeEach(() => fs.cpSync(join(out, 'pruned'), base, { recursive: true }));

      test('but not a copy', () => expect(resumed()).resolves.toMatchObject({ steps: 9 }));

      test('one weight of which is another', async () => {
        changeWeight(join(base, 'model.safetensors'), 'model.layers.0.self_attn.q_proj.weight');
        await expect(resumed()).rejects.toThrow(refusal);
      });

      test('whose config says something else', async () => {
        const config = join(base, 'config.json');
        fs.writeFileSync(config, JSON.stringify({ ...(readJson(config) as object), rope_theta: 20_000 }));
        await expect(resumed()).rejects.toThrow(refusal);
      });
    });

    test('a directory without a checkpoint', async () => {
      await expect(run({ ...common, ...method, out, resume: data })).rejects.toThrow(
        /--resume .*: expected a checkpoint-N directory, or one that holds some, got neither\./,
      );
    });

    test('and nothing of it touches the checkpoint that is there', async () => {
      await run({ ...common, ...method, out, resume: out });
      expectSameResult(out, join(root, 'lors-whole'), 9, false);
    });
  });
});
