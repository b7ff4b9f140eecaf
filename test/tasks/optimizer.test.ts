/** The rules of an update: accumulation, clipping, decay, schedules, seeds; and full training, that keeps the zeros. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { loadModel } from '../../src/io/model.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { totalInput } from '../../src/models/batch.ts';
import { patternFingerprint } from '../../src/models/model.ts';
import { keepMaskOf, unpack } from '../../src/sparse/pack.ts';
import type { Schedule } from '../../src/train/schedule.ts';
import { learningRateAt } from '../../src/train/schedule.ts';
import type { AdamW } from '../../src/train/optimizer.ts';
import { Trainer } from '../../src/train/trainer.ts';
import type { TrainerState } from '../../src/train/trainer.ts';
import { goldenTraining, sequences, wandaModel } from '../golden/stories.ts';
import { expectClose, largest, sameBits } from '../kernels/claims.ts';
import { STORIES, readLines, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

const ADAM: AdamW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };

function trainer(method: 'lors' | 'full', optimizer: Partial<AdamW> = {}): Trainer {
  const model = wandaModel();
  return new Trainer(model, {
    training: method === 'full' ? { method } : goldenTraining(model, 'sp-lora'),
    optimizer: { ...ADAM, ...optimizer },
    batchTokens: 256,
    maxSeqLength: 96,
    recompute: 'none',
    sessions: localSessions({ module: kernelModule('auto').module }),
  });
}

/** Windows of differing lengths, so that a mean of means is not the mean. */
function documents(): Sequence[] {
  return [96, 40, 17, 70].map((length, i) => ({ ids: sequences('train', 'batches')[i]!.ids.slice(0, length) }));
}

function gradients(t: Trainer): Map<string, Float32Array> {
  return new Map(t.compiled.store.runs.flatMap((run) => run.parameters.map((p) => [p.name, t.gradient(p)])));
}

withShared('an update', () => {
  test.each(['lors', 'full'] as const)('%s: two batches of one document are one batch of two', async (method) => {
    const [a, b] = documents() as [Sequence, Sequence];
    const apart = trainer(method);
    const together = trainer(method);
    const first = await apart.update([[a], [b]], 1e-3);
    const second = await together.update([[a, b]], 1e-3);
    expect(first).toMatchObject({ tokens: totalInput([a, b]), labelled: second.labelled });
    // Sums of the same terms in another order, an f32 rounding for each of T of them: T 2^-24 of the largest.
    const share = totalInput([a, b]) * 2 ** -24;
    expect(Math.abs(first.loss / second.loss - 1)).toBeLessThan(share);
    for (const [name, want] of gradients(together)) expectClose(name, gradients(apart).get(name)!, want, share * largest(want));
    // A single batch is something else.
    expect((await trainer(method).update([[a]], 1e-3)).loss).not.toBeCloseTo(first.loss, 3);
  });

  test('gradients are of this update alone: the last one left none behind', async () => {
    const [a, b] = documents() as [Sequence, Sequence];
    const t = trainer('lors');
    await t.update([[a]], 0);
    await t.update([[b]], 0);
    const fresh = trainer('lors');
    await fresh.update([[b]], 0);
    for (const [name, want] of gradients(fresh)) expect(sameBits(gradients(t).get(name)!, want), name).toBe(true);
  });

  test.each([0.05, 100])('clipping to a global norm of %d', async (maxGradNorm) => {
    const t = trainer('lors', { maxGradNorm });
    const { gradNorm } = await t.update([documents()], 1e-3);
    let squares = 0;
    for (const gradient of gradients(t).values()) for (const g of gradient) squares += g * g;
    expect(gradNorm / Math.sqrt(squares)).toBeCloseTo(1, 6);
    expect(gradNorm > 0.05 && gradNorm < 100, 'one of the two clips, one does not').toBe(true);
    // AdamW's step hardly changes with the size of a gradient; its first moment does: (1 - beta1) times the clipped gradient.
    const clip = Math.min(1, maxGradNorm / gradNorm);
    const { tensors } = t.state();
    for (const [name, gradient] of gradients(t)) {
      const want = gradient.map((g) => 0.1 * clip * g);
      // torch's clip_grad_norm_ divides by the norm and 1e-6 more.
      expectClose(name, tensors.get(`${name}.first_moment`)!, want, (1e-6 / gradNorm + 2 ** -21) * largest(want));
    }
  });

  test('weight decay shrinks weights, by lr * decay of each, and spares the norms', async () => {
    const trained = async (weightDecay: number): Promise<Record<'before' | 'after', TrainerState['tensors']>> => {
      const t = trainer('full', { weightDecay });
      const before = t.state().tensors;
      await t.update([documents()], 1e-2);
      return { before, after: t.state().tensors };
    };
    const [without, withDecay] = [await trained(0), await trained(0.5)];
    let norms = 0;
    for (const [name, plain] of without.after) {
      if (!name.endsWith('.parameter')) continue;
      const decayed = withDecay.after.get(name)!;
      if (/norm/.test(name)) {
        norms++;
        expect(sameBits(decayed, plain), name).toBe(true);
      } else {
        const before = without.before.get(name)!;
        expectClose(
          name,
          decayed,
          plain.map((w, i) => w - 1e-2 * 0.5 * before[i]!),
          4 * 2 ** -24 * largest(before),
        );
        expect(largest(plain.map((w, i) => w - decayed[i]!)), name).toBeGreaterThan(1e-4);
      }
    }
    expect(norms).toBe(11);
  });

  test('full training: a kept weight at exactly zero stays kept, goes on learning, and is no zero in a checkpoint', async () => {
    const t = trainer('full');
    const name = 'model.layers.1.mlp.gate_proj';
    const parameter = t.compiled.store.decayed.parameters.find((p) => p.name === name)!;
    const { tensors } = t.state();
    tensors.get(`${name}.parameter`)!.fill(0, 0, 100);
    t.restore({ step: 0, tensors });
    const pattern = (): string => patternFingerprint(t.trainedModel());
    expect(pattern()).toBe(patternFingerprint(t.model));
    const stored = t.trainedModel().linears.get(name)!;
    expect(unpack(stored, stored.values as Float32Array).filter((w) => w !== 0)).toHaveLength(stored.kept);
    await t.update([documents()], 1e-3);
    expect(
      t
        .parameter(parameter)
        .slice(0, 100)
        .filter((w) => w !== 0).length,
    ).toBeGreaterThan(90);
    expect(pattern()).toBe(patternFingerprint(t.model));
  });
});

describe('schedules', () => {
  const schedule = (kind: Schedule['kind']): Schedule => ({ kind, learningRate: 1, minLearningRate: 0.1, warmup: 10, steps: 110 });

  test('all rise linearly over the warm-up, and are at their highest when it is over', () => {
    for (const kind of ['constant', 'linear', 'cosine'] as const) {
      expect([0, 4, 9, 10].map((step) => learningRateAt(schedule(kind), step))).toEqual([0.1, 0.5, 1, 1]);
    }
  });

  test('constant stays, linear and cosine come down to the floor and no lower', () => {
    const rates = (kind: Schedule['kind']): number[] => [35, 60, 85, 109, 110, 500].map((step) => learningRateAt(schedule(kind), step));
    expect(rates('constant')).toEqual([1, 1, 1, 1, 1, 1]);
    const want = {
      linear: [0.775, 0.55, 0.325, 0.109, 0.1, 0.1],
      cosine: [0.25, 0.5, 0.75, 0.99, 1, 1].map((progress) => 0.1 + (0.9 * (1 + Math.cos(Math.PI * progress))) / 2),
    };
    for (const kind of ['linear', 'cosine'] as const) rates(kind).forEach((rate, i) => expect(rate).toBeCloseTo(want[kind][i]!, 12));
  });
});

withShared('runs', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const options = { model: STORIES, iters: 4, batchSize: 1, maxSeqLength: 64, rank: 4, stepsPerReport: 1, learningRate: 1e-2 } as const;
  const adapter = (out: string): Buffer => fs.readFileSync(at(out, 'adapter_model.safetensors'));
  const losses = (out: string): unknown[] => readLines(at(out, 'log.jsonl')).flatMap((l) => (l['event'] === 'step' ? [l['loss']] : []));
  let data: string;
  beforeAll(() => (data = writeStories(at('data'), 20)));

  test('the same seed gives the same bytes; another gives other factors and another order of the data', async () => {
    await run({ ...options, data, out: at('a'), seed: 7 });
    await run({ ...options, data, out: at('b'), seed: 7 });
    await run({ ...options, data, out: at('c'), seed: 8 });
    expect(adapter('a').equals(adapter('b'))).toBe(true);
    expect(losses('a')).toEqual(losses('b'));
    expect(adapter('a').equals(adapter('c'))).toBe(false);
    // The first loss is the base model's, for up starts at zero: where it differs, the batch does.
    expect(losses('a')[0]).not.toBe(losses('c')[0]);
  });

  test('full training lowers the loss, moves every matrix, and keeps the zeros', async () => {
    const { events } = await run({ ...options, data, out: at('full'), method: 'full', prune: 'wanda', iters: 20, learningRate: 2e-3 });
    const all = losses('full') as number[];
    expect(all.slice(-5).reduce((a, b) => a + b) / 5).toBeLessThan(all[0]! - 1);
    expect(events.find((e) => e.event === 'start')).toMatchObject({ method: 'full' });
    const base = loadModel(at('full', 'pruned'));
    const tuned = loadModel(at('full'));
    for (const [name, before] of base.linears) {
      const after = tuned.linears.get(name)!;
      expect(after.pattern, name).toBe('2:4');
      expect(keepMaskOf(after), name).toEqual(keepMaskOf(before));
      expect(sameBits(after.values, before.values), name).toBe(false);
    }
    expect(sameBits(tuned.gains.get('model.norm')!.values, base.gains.get('model.norm')!.values)).toBe(false);
  });
});
