/** A loss that stops being a number stops the run: where it happened is said, and the last good checkpoint is kept. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { DivergenceError } from '../../src/core/errors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { openSafetensors } from '../../src/io/safetensors.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { goldenTraining, sequences, wandaModel } from '../golden/stories.ts';
import { largest, sameBits } from '../kernels/claims.ts';
import { STORIES, readLines, run, temporaryDirectory, variant, withShared, writeStories } from './workspace.ts';

withShared('a loss that is not a number', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const options = { iters: 8, batchSize: 2, maxSeqLength: 64, stepsPerReport: 1, rank: 4, maxGradNorm: 0 } as const;
  let data: string;
  beforeAll(() => (data = writeStories(at('data'), 10)));

  test('weights that overflow: stopped in the first step, at the layer whose output was the first to', async () => {
    const name = 'model.layers.2.mlp.up_proj.weight';
    const model = variant(at('huge'), { tensor: (n, w) => (n === name ? w.map((x) => (x / largest(w)) * 3e38) : w) });
    const stopped = run({ ...options, model, data, out: at('overflow') });
    await expect(stopped).rejects.toThrow(DivergenceError);
    await expect(stopped).rejects.toThrow(
      /^step 1: the loss is \S+; first in op \d+ \w+ \(layers\.2[^)]*\)\. Nothing was updated\. A lower --learning-rate, .* may help\. No checkpoint had been saved yet\.$/,
    );
    expect(fs.existsSync(at('overflow'))).toBe(false);
  });

  test('a learning rate that throws the run off: the checkpoint before it is named, finite, and the last', async () => {
    const out = at('thrown');
    const stopped = run({ ...options, model: STORIES, data, out, learningRate: 1e25, lrSchedule: 'constant', saveEvery: 1 });
    await expect(stopped).rejects.toThrow(DivergenceError);
    const saved = fs.readdirSync(out).filter((name) => name.startsWith('checkpoint-'));
    const last = Math.max(...saved.map((name) => Number(name.slice('checkpoint-'.length))));
    await expect(stopped).rejects.toThrow(new RegExp(`^step ${last + 1}: .*The last good checkpoint is .*thrown/checkpoint-${last}\\.$`));
    const file = openSafetensors(join(out, `checkpoint-${last}`, 'training_state.safetensors'));
    for (const name of file.tensors.keys()) expect(new Float32Array(file.read(name).buffer).every(Number.isFinite), name).toBe(true);
    file.close();
    expect(fs.existsSync(join(out, 'adapter_model.safetensors')), 'no result is made of a run that failed').toBe(false);
    for (const line of readLines(join(out, 'log.jsonl'))) if (line['event'] === 'step') expect(line['loss']).toEqual(expect.any(Number));
  });

  test('resumed and thrown off at once, it names the checkpoint that it came from', async () => {
    const out = at('resumed');
    const abort = new AbortController();
    const wild = { ...options, model: STORIES, data, out, learningRate: 1e25, lrSchedule: 'constant' } as const;
    await run(wild, { signal: abort.signal, onEvent: (e) => e.event === 'progress' && abort.abort() });
    await expect(run({ ...wild, resume: out })).rejects.toThrow(/The last good checkpoint is .*resumed/);
  });

  test('no parameter, moment or step changes in the update that is refused', async () => {
    const model = wandaModel();
    const t = new Trainer(model, {
      training: goldenTraining(model, 'lors'),
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
      batchTokens: 96,
      maxSeqLength: 96,
      recompute: 'none',
      sessions: localSessions({ module: kernelModule('auto').module }),
    });
    const batch = sequences('train', 'batches').slice(0, 1);
    await t.update([batch], 1e-3);
    const { tensors } = t.state();
    const spoiled = [...tensors.keys()].find((name) => name.endsWith('lora.up.parameter'))!;
    tensors.get(spoiled)![0] = 1e38;
    tensors.get(spoiled)![1] = -1e38;
    t.restore({ step: 1, tensors });
    await expect(t.update([batch], 1e-3)).rejects.toThrow(DivergenceError);
    expect(t.step).toBe(1);
    for (const [name, data] of t.state().tensors) expect(sameBits(data, tensors.get(name)!), name).toBe(true);
  });
});
