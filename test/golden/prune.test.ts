/** Pruning against PyTorch: the same weights go, and the pruned model is as good, or as bad, as the reference's. */
import { expect, test } from 'vitest';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { pruneModel } from '../../src/prune/prune.ts';
import type { Pruner } from '../../src/prune/scores.ts';
import { PRUNERS } from '../../src/prune/scores.ts';
import { parseSparsity } from '../../src/prune/sparsity.ts';
import { keepMaskOf } from '../../src/sparse/pack.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { evaluateModel } from '../../src/train/evaluate.ts';
import { eachFlavour } from '../kernels/harness.ts';
import { GOLDEN_LENGTH, denseModel, floats, inputSequences, report, sequences, withShared } from './stories.ts';

withShared('pruning stories260K', () => {
  eachFlavour((flavour) => {
    const sessions = localSessions({ module: kernelModule(flavour).module });
    const pruned = (method: Pruner, sparsity: string): Promise<LlamaModel> =>
      pruneModel(denseModel(), { method, sparsity: parseSparsity(sparsity), calibration: inputSequences('train', 'calib'), sessions });

    test.each(
      PRUNERS.flatMap((method) => [
        [method, '2:4', '2:4', 1 / 2] as const,
        [method, '1:4', '1:4', 1 / 4] as const,
        [method, '0.5', '50%', 1 / 2] as const,
      ]),
    )('%s to %s: perplexity within 0.5 % of the reference, at that density', async (method, sparsity, name, density) => {
      const model = await pruned(method, sparsity);
      for (const [layer, { kept, rows, cols }] of model.linears) expect(kept / (rows * cols), layer).toBeCloseTo(density, 6);
      const { perplexity } = await evaluateModel(model, sequences('train', 'heldout'), { maxSeqLength: GOLDEN_LENGTH, sessions });
      expect(Math.abs(perplexity / report().perplexity[`${method} ${name}`]! - 1)).toBeLessThan(5e-3);
    });

    // A perplexity hides a few wrong choices; the masks themselves do not. Where two scores of a group differ in their last
    // bits, rounding may swap them: two such swaps, four places of 226560, are allowed.
    test.each(PRUNERS)('%s to 2:4 keeps the weights that PyTorch keeps, but for ties', async (method) => {
      let differing = 0;
      for (const [name, weight] of (await pruned(method, '2:4')).linears) {
        const golden = floats('pruned', `${method}/${name}.weight`);
        const keep = keepMaskOf(weight);
        for (let i = 0; i < keep.length; i++) if ((keep[i] === 1) !== (golden[i] !== 0)) differing++;
      }
      expect(differing).toBeLessThanOrEqual(4);
    });
  });
});
