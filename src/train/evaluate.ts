/** Perplexity: the exponential of the mean loss over every target token. */
import type { Sequence } from '../models/batch.ts';
import { longestInput, packRows, totalInput, windows, writeBatch } from '../models/batch.ts';
import { TILE } from '../kernels/table.ts';
import type { Training } from '../models/llama.ts';
import { CompiledLlama } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Session, Sessions } from '../runtime/session.ts';
import type { Ranks } from './nls.ts';
import { openGates, wholeRanks } from './nls.ts';

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
  const evaluator = new Evaluator(model, documents, options);
  try {
    return await evaluator.run(options.onBatch);
  } finally {
    await evaluator.close();
  }
}

/** A model and documents, ready to be evaluated as often as there are ranks to try. */
export class Evaluator {
  readonly compiled: CompiledLlama;
  readonly #session: Session;
  readonly #batches: readonly (readonly Sequence[])[];
  readonly #vocabSize: number;

  /** Throws RangeError where there is no target token. */
  constructor(model: LlamaModel, documents: readonly Sequence[], options: Omit<EvaluateOptions, 'onBatch'>) {
    const { maxSeqLength, sessions, training, batchTokens = 2048 } = options;
    const all = windows(documents, maxSeqLength);
    if (all.length === 0) throw new RangeError('evaluate: expected at least one token to predict, got none.');
    const longest = longestInput(all);
    this.#batches = packRows(all, Math.max(batchTokens, longest));
    const largest = this.#batches.reduce((most, batch) => Math.max(most, totalInput(batch)), 0);
    this.#vocabSize = model.config.vocabSize;
    this.compiled = new CompiledLlama(model, { tiles: Math.ceil(largest / TILE), positions: longest, ...(training && { training }) });
    this.#session = sessions.open([this.compiled.evaluate()]);
    this.useRanks(wholeRanks(this.compiled));
  }

  /** From now on elastic factors run with these ranks of each group. */
  useRanks(ranks: Ranks): void {
    openGates(this.#session, this.compiled, ranks);
  }

  async run(onBatch?: (done: number, all: number) => void): Promise<Evaluation> {
    let loss = 0;
    let tokens = 0;
    for (const [i, batch] of this.#batches.entries()) {
      const counts = writeBatch(this.#session, this.compiled.inputs, batch, this.#vocabSize);
      await this.#session.run('evaluate', counts);
      const losses = this.#session.floats(this.compiled.losses);
      for (let t = 0; t < counts.labelled; t++) loss += losses[t]!;
      tokens += counts.labelled;
      onBatch?.(i + 1, this.#batches.length);
    }
    return { loss: loss / tokens, perplexity: Math.exp(loss / tokens), tokens };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}
