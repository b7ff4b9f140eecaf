/** Updates of one batch: gradients have no memory of their own, and everything else is as it was. */
import { expect, test } from 'vitest';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { lifetimes } from '../../src/program/layout.ts';
import { localSessions } from '../../src/runtime/local.ts';
import type { AdamW } from '../../src/train/optimizer.ts';
import { optimizer } from '../../src/train/optimizer.ts';
import type { RecomputeChoice } from '../../src/train/recompute.ts';
import { Trainer } from '../../src/train/trainer.ts';
import type { Sequence } from '../../src/models/batch.ts';
import type { GoldenMethod } from '../golden/stories.ts';
import { goldenTraining, sequences, wandaModel } from '../golden/stories.ts';
import { sameBits } from '../kernels/claims.ts';
import { withShared } from './workspace.ts';

const ADAM: AdamW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maxGradNorm: 1 };

function trainer(method: GoldenMethod | 'full', batchesPerUpdate: number | undefined, recompute: RecomputeChoice = 'none'): Trainer {
  const model = wandaModel();
  return new Trainer(model, {
    training: method === 'full' ? { method } : goldenTraining(model, method),
    optimizer: ADAM,
    ...(batchesPerUpdate && { batchesPerUpdate }),
    batchTokens: 256,
    maxSeqLength: 96,
    recompute,
    sessions: localSessions({ module: kernelModule('auto').module }),
  });
}

/** Three batches, the last a shorter one. */
function batches(): Sequence[][] {
  const documents = sequences('train', 'batches');
  return [documents.slice(0, 2), documents.slice(2, 4), documents.slice(4, 5)];
}

function gradients(t: Trainer): Map<string, Float32Array> {
  return new Map(t.compiled.store.runs.flatMap((run) => run.parameters.map((p) => [p.name, t.gradient(p)])));
}

function expectSame(got: ReadonlyMap<string, Float32Array>, want: ReadonlyMap<string, Float32Array>): void {
  expect([...got.keys()].sort()).toEqual([...want.keys()].sort());
  for (const [name, values] of want) expect(sameBits(got.get(name)!, values), name).toBe(true);
}

withShared('updates of one batch', () => {
  const cases = [
    ['lors', 'none'],
    ['lors', 'block'],
    ['sp-lora', 'mlp'],
    ['full', 'none'],
    ['full', 'block'],
  ] as const;
  test.each(cases)('%s, recomputing %s: the same bits as where gradients add up, for less memory', async (method, recompute) => {
    const [one, many] = [trainer(method, 1, recompute), trainer(method, undefined, recompute)];
    expect(one.layout.pinned).not.toHaveProperty('gradient');
    expect(one.layout.bytes).toBeLessThan(many.layout.bytes);
    for (const batch of batches()) {
      expect(await one.update([batch], 1e-2)).toEqual(await many.update([batch], 1e-2));
      expectSame(gradients(one), gradients(many));
      expect(await one.evaluate(batch)).toEqual(await many.evaluate(batch));
    }
    expectSame(one.state().tensors, many.state().tensors);
  });

  test('what runs between the backward pass and the update touches no activation', () => {
    const { measure, update } = optimizer(trainer('full', 1).compiled.store, ADAM);
    const everything = { has: (): boolean => true };
    for (const program of [measure, update]) expect([...lifetimes(program, everything)], program.name).toEqual([]);
  });

  test('a state from between the batch and its update goes on with the same bits', async () => {
    const [before, after] = [trainer('lors', 1, 'block'), trainer('lors', 1, 'block')];
    // What another program leaves where gradients go: they have padding.
    await after.evaluate(batches()[1]!);
    await before.accumulate(batches()[0]!, 70);
    const state = before.state();
    expect([...state.tensors.keys()].some((name) => name.endsWith('.gradient'))).toBe(true);
    after.restore(state);
    expect(await after.apply(1e-2)).toEqual(await before.apply(1e-2));
    expectSame(after.state().tensors, before.state().tensors);
  });

  test('nothing may run over the gradients of the update under way', async () => {
    const t = trainer('lors', 1);
    await expect(t.update([batches()[0]!, batches()[1]!], 1e-2)).rejects.toThrow('update: expected one batch, got 2');
    await t.accumulate(batches()[0]!, 70);
    await expect(t.accumulate(batches()[0]!, 70)).rejects.toThrow('accumulate: expected one batch an update');
    await expect(t.evaluate(batches()[0]!)).rejects.toThrow('evaluate: expected one batch an update');
    // The batch it had is still there, and its update can end.
    expect((await t.apply(1e-2)).tokens).toBeGreaterThan(0);
    await t.evaluate(batches()[0]!);
  });
});
