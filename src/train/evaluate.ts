/** Perplexity: the exponential of the mean loss over every target token. */
import type { Sequence } from '../models/batch.ts';
import { longestInput, packRows, totalInput, windows, writeBatch } from '../models/batch.ts';
import { TILE } from '../kernels/table.ts';
import type { Training } from '../models/llama.ts';
import { CompiledLlama } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Sessions } from '../runtime/session.ts';

export interface EvaluateOptions {
  /** Longer documents are cut into windows of so many input tokens, each seen on its own. */
  readonly maxSeqLength: number;
  /** Where it runs. */
  readonly sessions: Sessions;
  /** An adapter that runs beside the weights (models/adapter.ts: trainingOf). */
  readonly training?: Training;
  /** Tokens that go through the model at once. */
  readonly batchTokens?: number;
  readonly onBatch?: (done: number, all: number) => void;
}

export interface Evaluation {
  /** Mean cross-entropy in nats a token. */
  readonly loss: number;
  readonly perplexity: number;
  /** Target tokens. */
  readonly tokens: number;
}

/** Evaluates a model on documents. Throws RangeError where there is no target token. */
export async function evaluateModel(model: LlamaModel, documents: readonly Sequence[], options: EvaluateOptions): Promise<Evaluation> {
  const { maxSeqLength, sessions, training, batchTokens = 2048, onBatch } = options;
  const all = windows(documents, maxSeqLength);
  if (all.length === 0) throw new RangeError('evaluate: expected at least one token to predict, got none.');
  const longest = longestInput(all);
  const batches = packRows(all, Math.max(batchTokens, longest));
  const largest = batches.reduce((most, batch) => Math.max(most, totalInput(batch)), 0);
  const compiled = new CompiledLlama(model, { tiles: Math.ceil(largest / TILE), positions: longest, ...(training && { training }) });
  const session = sessions.open([compiled.evaluate()]);
  let loss = 0;
  let tokens = 0;
  try {
    for (const [i, batch] of batches.entries()) {
      const counts = writeBatch(session, compiled.inputs, batch, model.config.vocabSize);
      await session.run('evaluate', counts);
      const losses = session.floats(compiled.losses);
      for (let t = 0; t < counts.labelled; t++) loss += losses[t]!;
      tokens += counts.labelled;
      onBatch?.(i + 1, batches.length);
    }
  } finally {
    await session.close();
  }
  return { loss: loss / tokens, perplexity: Math.exp(loss / tokens), tokens };
}
