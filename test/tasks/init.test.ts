/** `--init gradient` of a fine-tuning: what the saved adapter starts from, for every method that has factors. */
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { ADAPTER_METHODS, ruleOf } from '../../src/adapters/methods.ts';
import { loadAdapter } from '../../src/io/adapter.ts';
import { loadDataset } from '../../src/io/datasets.ts';
import { tokenizeRows } from '../../src/io/tokenizeRows.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { loadModel } from '../../src/io/model.ts';
import { loadTokenizer } from '../../src/io/tokenizer.ts';
import { windows } from '../../src/models/batch.ts';
import { PROJECTIONS } from '../../src/models/names.ts';
import { localSessions } from '../../src/runtime/local.ts';
import type { TrainEvent } from '../../src/tasks/events.ts';
import { sampleWindows } from '../../src/tasks/training.ts';
import { gradientFactors } from '../../src/train/gradientInit.ts';
import { initialFactors } from '../../src/train/initial.ts';
import { sameBits } from '../kernels/claims.ts';
import { STORIES, interruptAt, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

const withFactors = ADAPTER_METHODS.filter((method) => ruleOf(method).noGradientInit === undefined);

withShared('--init gradient', () => {
  const root = temporaryDirectory();
  let data: string;
  beforeAll(() => void (data = writeStories(join(root, 'data'), 12)));
  const common = { model: STORIES, iters: 3, rank: 4, batchSize: 2, maxSeqLength: 64, seed: 3, kernels: 'plain' } as const;

  test.each<AdapterMethod>(withFactors)(
    '%s starts from the singular vectors of the pruned model, over the samples that were asked for',
    async (method) => {
      const out = join(root, method);
      // Stopped before the first step, what is saved is what it starts from.
      const stopped = { signal: AbortSignal.abort() };
      const init = { init: 'gradient', initSamples: 5, initPasses: 3, initGamma: 2 } as const;
      const { events } = await run({ ...common, ...init, data, out, method, prune: 'magnitude' }, stopped);
      const passes = events.filter((e): e is TrainEvent & { event: 'init' } => e.event === 'init');
      expect(passes.map(({ pass, passes: of, samples }) => `${pass} of ${of}, ${samples}`)).toEqual([
        '1 of 3, 5',
        '2 of 3, 5',
        '3 of 3, 5',
      ]);

      const model = loadModel(join(out, 'pruned'));
      const { documents } = tokenizeRows(loadDataset(data).train, loadTokenizer(STORIES), { maskPrompt: false });
      const want = await gradientFactors(model, initialFactors(model, PROJECTIONS, 4, 3), {
        samples: sampleWindows(windows(documents, 64), 5, 3),
        gamma: 2,
        passes: 3,
        seed: 3,
        batchTokens: 128,
        recompute: 'none',
        sessions: localSessions({ module: kernelModule('plain').module }),
      });
      const { modules } = loadAdapter(join(out, 'checkpoint-0'));
      expect(modules.size).toBe(35);
      for (const [name, { down, up }] of modules) {
        expect(sameBits(down, want.get(name)!.down), name).toBe(true);
        expect(up.every((x) => x === 0)).toBe(true);
      }
    },
  );

  test('training from there starts with moments of zero: what the initialisation left in the arena is not taken for them', async () => {
    // A constant gradient's first update is the learning rate in size, whatever the gradient: not so with moments of something else.
    const out = join(root, 'moments');
    await run({ ...common, init: 'gradient', data, out, prune: 'magnitude', learningRate: 1e-3, lrSchedule: 'constant' }, interruptAt(1));
    const [before, after] = [loadAdapter(join(root, 'lors', 'checkpoint-0')), loadAdapter(join(out, 'checkpoint-1'))];
    expect(before.modules.size).toBe(after.modules.size);
    for (const [name, { up }] of after.modules) {
      // up starts from zero; an entry without a gradient stays there.
      for (const x of up) expect(Math.abs(x), name).toBeLessThanOrEqual(1e-3 * (1 + 1e-5));
      expect(
        up.some((x) => Math.abs(x) > 0.9e-3),
        name,
      ).toBe(true);
    }
  });
});
