/** Documents that share a batch do not see each other, and only targets count: in the loss and in the gradient. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadDataset } from '../../src/io/datasets.ts';
import { tokenizeRows } from '../../src/io/tokenizeRows.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { loadTokenizer } from '../../src/io/tokenizer.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { inputTokens, targetTokens, writeBatch } from '../../src/models/batch.ts';
import type { Recompute } from '../../src/nn/block.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import { LocalSession, localSessions } from '../../src/runtime/local.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { evaluateModel } from '../../src/train/evaluate.ts';
import { initialFactors } from '../../src/train/initial.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { expectClose, sameBits } from '../kernels/claims.ts';
import { denseModel } from '../golden/stories.ts';
import { STORIES, stories, temporaryDirectory, withShared, writeJsonl } from './workspace.ts';

const { module } = kernelModule('auto');

withShared('packed documents', () => {
  const model = denseModel();
  const tokenizer = loadTokenizer(STORIES);
  const documents = stories(6, 5).map((text): Sequence => ({ ids: Int32Array.of(1, ...tokenizer.encode(text), 2) }));

  /** Losses of every target of a batch, in order. */
  function losses(batch: readonly Sequence[]): Float32Array {
    const compiled = new CompiledLlama(model, { tiles: 32, positions: 128 });
    const session = new LocalSession([compiled.evaluate()], { module });
    const counts = writeBatch(session, compiled.inputs, batch, model.config.vocabSize);
    session.run('evaluate', counts);
    return session.floats(compiled.losses).slice(0, counts.labelled);
  }

  async function trainer(batch: readonly Sequence[], recompute: Recompute = 'none'): Promise<Trainer> {
    const factors = initialFactors(model, ['q_proj', 'v_proj', 'down_proj'], 4, 1);
    for (const { up } of factors.values()) up.forEach((_, i) => (up[i] = Math.sin(i) / 20));
    const t = new Trainer(model, {
      training: { method: 'lors', gradient: 'exact', scaling: 1, factors },
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
      batchTokens: 512,
      maxSeqLength: 128,
      recompute,
      sessions: localSessions({ module }),
    });
    await t.update([batch], 1e-3);
    return t;
  }

  const gradients = (t: Trainer): Float32Array[] => t.compiled.store.decayed.parameters.map((p) => t.gradient(p));

  test("each token's loss is the same alone and beside others", () => {
    const together = losses(documents);
    let from = 0;
    for (const document of documents) {
      const alone = losses([document]);
      // The keys of a document lie elsewhere in their tiles, so that its sums are in another order: a few f32 roundings of
      // numbers of the size of logits, 2^-24 * 16 each.
      expectClose('loss', together.slice(from, from + alone.length), alone, 2 ** -16);
      from += alone.length;
    }
    expect(from).toBe(together.length);
  });

  test('other words in one document change no bit of the losses of the others', () => {
    const changed = documents.map((document, i) =>
      i === 2 ? { ids: document.ids.map((id, t) => (t ? ((id * 7) % 500) + 3 : id)) } : document,
    );
    const [before, after] = [losses(documents), losses(changed)];
    let from = 0;
    documents.forEach((document, i) => {
      const to = from + inputTokens(document);
      expect(sameBits(before.slice(from, to), after.slice(from, to)), `document ${i}`).toBe(i !== 2);
      from = to;
    });
  });

  test.each(['none', 'mlp', 'block'] as const)(
    'a document without targets leaves no trace in the gradient of the others (recompute %s)',
    async (recompute) => {
      const silent = (ids: Int32Array): Sequence => ({ ids, targets: new Uint8Array(ids.length) });
      const batch = (other: Int32Array): Sequence[] => [documents[0]!, silent(other), documents[1]!];
      const first = await trainer(batch(documents[2]!.ids), recompute);
      const second = await trainer(batch(documents[2]!.ids.map((id) => (id + 100) % 512)), recompute);
      gradients(first).forEach((gradient, i) => expect(sameBits(gradient, gradients(second)[i]!)).toBe(true));
      expect(gradients(first).some((gradient) => gradient.some((g) => g !== 0))).toBe(true);
    },
  );

  test('a prompt that is masked is seen but not learned: the loss is that of the completion', async () => {
    const root = temporaryDirectory();
    const rows = [
      { prompt: 'Lily saw a', completion: ' big red ball.' },
      { prompt: 'Tom and Mia went to the park. They', completion: ' played.' },
    ];
    const data = writeJsonl(join(root, 'pairs.jsonl'), rows);
    const options = { model: STORIES, data, maxSeqLength: 64 };
    const masked = await evaluate({ ...options, maskPrompt: true });
    const all = await evaluate(options);
    const { documents: tokenized } = tokenizeRows(loadDataset(data).train, tokenizer, { maskPrompt: true });
    const whole = tokenized.map(({ ids }): Sequence => ({ ids }));
    expect(masked.tokens).toBe(tokenized.reduce((n, s) => n + targetTokens(s), 0));
    expect(all.tokens).toBe(whole.reduce((n, s) => n + inputTokens(s), 0));
    // From the losses of all targets, those of the completions picked by hand: the last tokens of each row.
    const each = losses(whole);
    let from = 0;
    let sum = 0;
    tokenized.forEach((sequence, i) => {
      const to = from + inputTokens(sequence);
      const completion = tokenizer.encode(rows[i]!.prompt + rows[i]!.completion).length - tokenizer.encode(rows[i]!.prompt).length + 1;
      expect(targetTokens(sequence)).toBe(completion);
      for (let t = to - completion; t < to; t++) sum += each[t]!;
      from = to;
    });
    expect(masked.loss).toBeCloseTo(sum / masked.tokens, 5);
    expect(Math.abs(masked.loss - all.loss)).toBeGreaterThan(0.01);
    expect((await evaluateModel(model, tokenized, { maxSeqLength: 64, sessions: localSessions({ module }) })).loss).toBe(masked.loss);
  });
});
