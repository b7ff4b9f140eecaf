/** The model as a whole against PyTorch in f64: what a wrong head count, rotary pair, norm or mask would change. */
import { expect, test } from 'vitest';
import { kernelModule } from '../../src/io/kernelModule.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import { TILE } from '../../src/kernels/table.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { writeBatch } from '../../src/models/batch.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import type { Value } from '../../src/program/value.ts';
import { LocalSession, localSessions } from '../../src/runtime/local.ts';
import { evaluateModel } from '../../src/train/evaluate.ts';
import { expectClose, largest } from '../kernels/claims.ts';
import { eachFlavour } from '../kernels/harness.ts';
import { GOLDEN_LENGTH, denseModel, floats, idRows, report, sequences, wandaModel, withShared } from './stories.ts';

/** Logits of every token, [tokens][vocabulary]. A tile of them is labelled at a time, for that is what the head computes. */
function allLogits(model: LlamaModel, rows: readonly Int32Array[], flavour: Flavour): Float32Array {
  const { vocabSize } = model.config;
  const tokens = rows.length * GOLDEN_LENGTH;
  const compiled = new CompiledLlama(model, { tiles: tokens / TILE, positions: GOLDEN_LENGTH });
  const logits: Value = { name: 'logits', bytes: vocabSize * TILE * 4, kind: 'output' };
  const session = new LocalSession([compiled.logits(logits)], { module: kernelModule(flavour).module });
  const out = new Float32Array(tokens * vocabSize);
  for (let from = 0; from < tokens; from += TILE) {
    const batch = rows.map((ids, row): Sequence => {
      const targets = Uint8Array.from({ length: GOLDEN_LENGTH + 1 }, (_, t) => {
        const slot = row * GOLDEN_LENGTH + t - 1;
        return slot >= from && slot < from + TILE ? 1 : 0;
      });
      return { ids: Int32Array.of(...ids, 0), targets };
    });
    session.run('logits', writeBatch(session, compiled.inputs, batch, vocabSize));
    const tile = session.floats(logits);
    for (let v = 0; v < vocabSize; v++) for (let t = 0; t < TILE; t++) out[(from + t) * vocabSize + v] = tile[v * TILE + t]!;
  }
  return out;
}

withShared('the forward pass of stories260K', () => {
  eachFlavour((flavour) => {
    test.each([
      ['dense', denseModel],
      ['wanda24', wandaModel],
    ])('logits of the %s model are within 1e-4 of PyTorch, relative to the largest', (name, model) => {
      const want = floats('forward', `logits.${name}`);
      const got = allLogits(model(), idRows('forward', 'ids'), flavour);
      expectClose(`logits.${name}`, got, want, 1e-4 * largest(want));
    });

    test.each([
      ['dense', denseModel],
      ['wanda 2:4', wandaModel],
    ])('perplexity of the %s model on the held-out windows is that of report.json', async (name, model) => {
      const sessions = localSessions({ module: kernelModule(flavour).module });
      const { perplexity, tokens } = await evaluateModel(model(), sequences('train', 'heldout'), { maxSeqLength: GOLDEN_LENGTH, sessions });
      expect(tokens).toBe(32 * GOLDEN_LENGTH);
      // The issue allows 0.5 %; the weights here are PyTorch's own, so that only rounding can differ: 1e-5.
      expect(Math.abs(perplexity / report().perplexity[name]! - 1)).toBeLessThan(1e-5);
    });
  });
});
