/** Training against PyTorch in f64: gradients of the first step, losses of twenty, and where the adapters end. */
import { expect, test } from 'vitest';
import { moduleOf } from '../../src/adapters/factors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { localSessions } from '../../src/runtime/local.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import type { Recompute } from '../../src/nn/block.ts';
import { evaluateModel } from '../../src/train/evaluate.ts';
import { Trainer } from '../../src/train/trainer.ts';
import type { TrainerState } from '../../src/train/trainer.ts';
import { expectClose, largest, sameBits } from '../kernels/claims.ts';
import { eachFlavour } from '../kernels/harness.ts';
import type { GoldenMethod } from './stories.ts';
import { GOLDEN_RATE, GOLDEN_STEPS, batchOf, goldenOptions } from './trainingRun.ts';
import { GOLDEN_LENGTH, GOLDEN_METHODS, floats, goldenTraining, report, sequences, wandaModel, withShared } from './stories.ts';

function trainer(method: GoldenMethod, flavour: Flavour, recompute: Recompute = 'none'): Trainer {
  const model = wandaModel();
  return new Trainer(model, goldenOptions(goldenTraining(model, method), kernelModule(flavour).module, recompute));
}

/** Both factors of every module, unpadded, as parameters or as gradients. */
function* factorsOf(t: Trainer, what: 'parameter' | 'gradient'): Generator<[tensor: string, data: Float32Array]> {
  for (const [name, factors] of t.compiled.factors) {
    const { up, down } = moduleOf(factors, (p) => t[what](p));
    yield [`${name}.weight.A`, up];
    yield [`${name}.weight.B`, down];
  }
}

withShared('training on stories260K, pruned by wanda to 2:4', () => {
  eachFlavour((flavour) => {
    test.each(GOLDEN_METHODS)('%s: every gradient of the first step, and the loss of twenty', async (method) => {
      const t = trainer(method, flavour);
      const batches = sequences('train', 'batches');
      const want = report().train[method]!;
      const losses: number[] = [];
      for (let step = 0; step < GOLDEN_STEPS; step++) {
        losses.push((await t.update([batchOf(batches, step)], GOLDEN_RATE)).loss);
        if (step > 0) continue;
        let compared = 0;
        for (const [tensor, got] of factorsOf(t, 'gradient')) {
          const gradient = floats('train', `grad1/${method}/${tensor}`);
          expectClose(`${method} ${tensor}`, got, gradient, 1e-4 * largest(gradient));
          compared++;
        }
        expect(compared).toBe(t.model.linears.size * 2);
      }
      expectClose(`${method} losses`, losses, want, 1e-4);

      // The model that came out, not only the way to it. A difference of 1e-4 in the loss is one of 1e-4 in its exponential.
      const trained = new Map([...t.compiled.factors].map(([name, factors]) => [name, moduleOf(factors, (p) => t.parameter(p))]));
      const { perplexity } = await evaluateModel(t.model, sequences('train', 'heldout'), {
        maxSeqLength: GOLDEN_LENGTH,
        sessions: localSessions({ module: kernelModule(flavour).module }),
        training: { ...goldenTraining(t.model, method), factors: trained },
      });
      expect(Math.abs(perplexity / report().perplexity[`wanda 2:4 + ${method}, 20 steps`]! - 1)).toBeLessThan(1e-4);
      if (method !== 'lors') return;
      // Twenty AdamW steps of 5e-3 move an entry by 0.1 at most; the losses' 1e-4, a fiftieth of one step, holds for entries too.
      for (const [tensor, got] of factorsOf(t, 'parameter')) expectClose(tensor, got, floats('train', `final/lors/${tensor}`), 1e-4);
    });

    test('the gradients of lors and of the exact rule differ, as the golden ones do: a mask left out is seen', async () => {
      const gradients = async (method: GoldenMethod): Promise<Map<string, Float32Array>> => {
        const t = trainer(method, flavour);
        await t.update([batchOf(sequences('train', 'batches'), 0)], GOLDEN_RATE);
        return new Map(factorsOf(t, 'gradient'));
      };
      const [lors, exact] = [await gradients('lors'), await gradients('sp-lora')];
      for (const [tensor, a] of lors) {
        const b = exact.get(tensor)!;
        const apart = largest(a.map((x, i) => x - b[i]!));
        expect(apart, tensor).toBeGreaterThan(1e-2 * largest(b));
      }
    });

    test.each(GOLDEN_METHODS)('%s: recomputing each block changes no bit of three steps', async (method) => {
      const batches = sequences('train', 'batches');
      const run = async (recompute: Recompute): Promise<{ t: Trainer; losses: number[]; tensors: TrainerState['tensors'] }> => {
        const t = trainer(method, flavour, recompute);
        const losses: number[] = [];
        for (const step of [0, 1, 2]) losses.push((await t.update([batchOf(batches, step)], GOLDEN_RATE)).loss);
        return { t, losses, tensors: t.state().tensors };
      };
      const [kept, again] = [await run('none'), await run('block')];
      expect(again.losses).toEqual(kept.losses);
      for (const [name, data] of kept.tensors) expect(sameBits(again.tensors.get(name)!, data), name).toBe(true);
      expect(again.t.layout.activations).toBeLessThan(kept.t.layout.activations);
    });
  });
});
