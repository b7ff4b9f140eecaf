/** A fine-tuning run that can stop after any batch, hand out its state as bytes, and go on in another request or isolate. */
import type { Adapter, AdapterConfig } from '../adapters/adapter.ts';
import type { WeightDtype } from '../core/dtypes.ts';
import { MemoryBudgetError, UnsupportedError, explain } from '../core/errors.ts';
import type { Given } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import type { Tokenizer } from '../io/tokenizerFormat.ts';
import { fuseAdapter } from '../models/adapter.ts';
import type { Sequence } from '../models/batch.ts';
import type { LlamaModel } from '../models/model.ts';
import { stagedModel } from '../models/model.ts';
import { describe } from '../runtime/session.ts';
import { scheduleOf, trainerOptionsOf } from '../tasks/training.ts';
import type { BatchCursor } from '../train/batches.ts';
import { BatchStream, batchesOf } from '../train/batches.ts';
import type { Evaluation } from '../train/evaluate.ts';
import type { Schedule } from '../train/schedule.ts';
import { learningRateAt } from '../train/schedule.ts';
import { trainedModules } from '../train/trained.ts';
import type { TrainerOptions } from '../train/trainer.ts';
import { Trainer, labelledIn } from '../train/trainer.ts';
import { readBytes } from './bytes.ts';
import type { EdgeSettings } from './options.ts';
import { EDGE_GENERATE_OPTIONS } from './options.ts';
import type { Prepared, TrainerInput } from './prepare.ts';
import { prepare } from './prepare.ts';
import { checkState, decodeState, encodeState } from './state.ts';
import type { MemoryParts } from './memory.ts';
import { mergedParts } from './tasks.ts';

/** One update. */
export interface EdgeStep {
  /** Updates so far, this one included, and those of the whole run. */
  readonly step: number;
  readonly steps: number;
  /** Mean over the labelled tokens, before the update. */
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly tokens: number;
}

export interface RunLimits {
  /**
   * Milliseconds by `now`: no batch is begun that would, by the longest so far, end later. At least one batch is run. In a
   * deployed Worker clocks stand still while code computes, so that `batches` is what limits it there.
   */
  readonly budgetMs?: number | undefined;
  /** Most batches, and most updates. An update has `gradAccumulationSteps` batches; the run may stop between them. */
  readonly batches?: number | undefined;
  readonly steps?: number | undefined;
  /** Stops the run after the batch that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Told of every update. */
  readonly onStep?: ((step: EdgeStep) => void) | undefined;
  /** A clock; performance.now when absent. */
  readonly now?: () => number;
}

export interface RunResult {
  readonly step: number;
  readonly steps: number;
  readonly done: boolean;
  /** The updates of this call. */
  readonly updates: readonly EdgeStep[];
  readonly batches: number;
}

export interface TrainerPlan {
  /** Bytes of the arena, and what it is made of. */
  readonly arenaBytes: number;
  readonly arena: string;
  /** Whether projections are fetched into the arena for each use, since two copies of them would not fit. */
  readonly staged: boolean;
  /** Blocks whose activations are made again in the backward pass, and of how many others those of the MLP. */
  readonly recomputedBlocks: number;
  readonly recomputedMlps: number;
}

/**
 * Loads what there is to load, plans, and refuses what does not fit.
 * @throws {RangeError} or TypeError for options
 * @throws {FormatError} or UnsupportedError for models, tokenizers, data, and a state that belongs to another run
 * @throws {MemoryBudgetError} naming the plan, before the memory is taken
 *
 * @example
 * const trainer = await createTrainer({ wasm, model: { config, weights }, tokenizer: { json }, data: { jsonl }, options: { rank: 8 } });
 * while (!(await trainer.run({ budgetMs: 5000 })).done) await store(trainer.state());
 * const { config, weights } = trainer.adapter();
 */
export async function createTrainer(input: TrainerInput): Promise<EdgeTrainer> {
  const prepared = await prepare(input);
  const state = input.state && (await readBytes(input.state, 'state'));
  // A state of another run is refused before the memory is taken.
  if (state) checkState(state, prepared.identity);
  const trainer = new EdgeTrainer(prepared);
  try {
    await trainer.ready();
    if (state) trainer.restore(state);
  } catch (error) {
    await trainer.close();
    throw error;
  }
  return trainer;
}

/** An update under way: its batches, and where the stream stood before them. */
interface Update {
  readonly cursor: BatchCursor;
  readonly batches: readonly (readonly Sequence[])[];
  readonly labelled: number;
}

/** Made by createTrainer. */
export class EdgeTrainer {
  readonly settings: EdgeSettings;
  /** The base, pruned where `options.prune` says so. */
  readonly model: LlamaModel;
  readonly tokenizer: Tokenizer;
  /** Rows of the data that have nothing to learn. */
  readonly droppedRows: number;
  readonly plan: TrainerPlan;
  readonly #prepared: Omit<Prepared, 'training'>;
  readonly #trainer: Trainer;
  readonly #schedule: Schedule;
  #stream: BatchStream;
  #update: Update | undefined;
  #busy = false;

  constructor(prepared: Prepared) {
    // The initial factors are not kept: the trainer puts them where they train.
    const { training, ...kept } = prepared;
    const { host, settings, model, train } = kept;
    this.settings = settings;
    this.model = model;
    this.tokenizer = prepared.tokenizer;
    this.droppedRows = prepared.droppedRows;
    this.#prepared = kept;
    this.#stream = new BatchStream(train, settings.maxSeqLength, settings.batchSize, settings.seed);
    this.#schedule = scheduleOf(settings, this.#stream.batchesPerEpoch);
    const ids = [...train, ...prepared.valid].reduce((n, { ids, targets }) => n + ids.byteLength + (targets?.byteLength ?? 0), 0);
    const sessions = host.sessions('training', model, { 'token ids': ids });
    const { trainer, staged } = openTrainer(model, trainerOptionsOf(settings, training, kept, sessions));
    this.#trainer = trainer;
    const { layout, recomputed } = trainer;
    this.plan = {
      arenaBytes: layout.bytes,
      arena: describe(layout),
      staged,
      recomputedBlocks: recomputed.blocks,
      recomputedMlps: recomputed.mlps,
    };
  }

  /** Updates so far, and those of the whole run. */
  get stepsDone(): number {
    return this.#trainer.step;
  }

  get steps(): number {
    return this.#schedule.steps;
  }

  get done(): boolean {
    return this.stepsDone >= this.steps;
  }

  get trainableParameters(): number {
    return this.#trainer.compiled.store.size;
  }

  /** Resolves when whoever runs programs is there; createTrainer has waited for it. */
  ready(): Promise<void> {
    return this.#trainer.ready();
  }

  /** Gives threads back, where there are any. The result can still be read. */
  close(): Promise<void> {
    return this.#trainer.close();
  }

  /** One update; undefined where the run is done, or a limit stops it within the update: the next call goes on. */
  async step(limits: Omit<RunLimits, 'steps'> = {}): Promise<EdgeStep | undefined> {
    return (await this.run({ ...limits, steps: 1 })).updates[0];
  }

  /** Trains until a limit is reached, or the run is done. Throws DivergenceError where the loss stops being a number. */
  async run(limits: RunLimits = {}): Promise<RunResult> {
    const { budgetMs = Infinity, batches = Infinity, steps = Infinity, signal, onStep, now = (): number => performance.now() } = limits;
    const updates: EdgeStep[] = [];
    const began = now();
    let ran = 0;
    let longest = 0;
    for (let at = began; !this.done && !signal?.aborted && ran < batches && updates.length < steps; ran++) {
      if (ran > 0 && at - began + longest > budgetMs) break;
      const update = await this.#alone(() => this.#batch());
      if (update) {
        updates.push(update);
        onStep?.(update);
      }
      // Lets whoever shares this thread have their turn, and clocks that only move between turns move.
      await new Promise((resolve) => setTimeout(resolve));
      const then = now();
      longest = Math.max(longest, then - at);
      at = then;
    }
    return { step: this.stepsDone, steps: this.steps, done: this.done, updates, batches: ran };
  }

  /** The state as bytes: parameters, moments, the order of the data and where in it the run stands. */
  state(): Uint8Array<ArrayBuffer> {
    this.#refuseBusy();
    const cursor = this.#update?.cursor ?? this.#stream.cursor;
    return encodeState({ trainer: this.#trainer.liveState(), cursor }, this.#prepared.identity);
  }

  /** Goes on from a state. Throws FormatError, naming what differs, where it belongs to another run. */
  restore(state: Uint8Array): void {
    this.#refuseBusy();
    const { trainer, cursor } = decodeState(state, this.#prepared.identity);
    const { maxSeqLength, batchSize } = this.settings;
    this.#trainer.restore(trainer);
    this.#stream = new BatchStream(this.#prepared.train, maxSeqLength, batchSize, cursor);
    this.#update = undefined;
  }

  /** Perplexity on `valid`, `valBatches` of it. Throws RangeError where there is none. */
  async evaluate(): Promise<Evaluation> {
    const { valid } = this.#prepared;
    if (valid.length === 0) throw new RangeError('evaluate: expected text in `valid`, got none.');
    const { maxSeqLength, batchSize, valBatches } = this.settings;
    const batches = batchesOf(valid, maxSeqLength, batchSize);
    let [loss, tokens] = [0, 0];
    for (const batch of valBatches > 0 ? batches.slice(0, valBatches) : batches) {
      const part = await this.#alone(() => this.#trainer.evaluate(batch));
      loss += part.loss;
      tokens += part.labelled;
    }
    return { loss: loss / tokens, perplexity: Math.exp(loss / tokens), tokens };
  }

  /** The adapter as it is now. Throws UnsupportedError where the whole model trains. */
  adapter(): Adapter {
    const { adapter: config } = this.#prepared;
    if (!config) throw new UnsupportedError(explain('adapter', 'a method that trains one', 'full', 'Take fused() instead.'));
    this.#refuseBusy();
    return { config, modules: trainedModules(this.#trainer) };
  }

  /** The model as it is now: its adapter merged, zeros still zero; or what full training has made of it. */
  fused(dtype?: WeightDtype): LlamaModel {
    this.#refuseBusy();
    const { host, adapter } = this.#prepared;
    if (!adapter) return this.#trainer.trainedModel();
    host.sessions('merging', this.model, { training: this.plan.arenaBytes, ...this.#mergedParts(adapter) });
    return fuseAdapter(this.model, this.adapter(), host.kernels.module, dtype, host.memory);
  }

  /** Yields text after a prompt, by the model as it is now. Throws MemoryBudgetError where that does not fit beside the run. */
  async *generate(options: Given<typeof EDGE_GENERATE_OPTIONS>): AsyncGenerator<string, void, void> {
    const settings = resolveOptions(EDGE_GENERATE_OPTIONS, options);
    const { host, adapter } = this.#prepared;
    this.#refuseBusy();
    const merged = adapter && this.#mergedParts(adapter);
    const sessions = host.sessions('generating', this.model, { training: this.plan.arenaBytes, ...merged });
    const { generateText } = await import('../generate/text.ts');
    yield* generateText(this.fused(adapter && 'F32'), this.tokenizer, { ...settings, sessions });
  }

  /** What the merged weights of the trained modules take, without a copy of their factors. */
  #mergedParts(config: AdapterConfig): MemoryParts {
    return mergedParts(this.model, config, this.#trainer.compiled.factors.keys());
  }

  /** One batch, and the update where it was the last of one. */
  async #batch(): Promise<EdgeStep | undefined> {
    const { batches, labelled } = (this.#update ??= this.#draw());
    await this.#trainer.accumulate(batches[this.#trainer.partial?.batches ?? 0]!, labelled);
    if (this.#trainer.partial!.batches < batches.length) return undefined;
    const learningRate = learningRateAt(this.#schedule, this.stepsDone);
    const { loss, gradNorm, tokens } = await this.#trainer.apply(learningRate);
    this.#update = undefined;
    return { step: this.stepsDone, steps: this.steps, loss, gradNorm, learningRate, tokens };
  }

  #draw(): Update {
    const { cursor } = this.#stream;
    const batches = Array.from({ length: this.settings.gradAccumulationSteps }, () => this.#stream.next());
    return { cursor, batches, labelled: labelledIn(batches) };
  }

  /** Programs run one at a time; with threads, others may call while one runs. */
  async #alone<T>(run: () => Promise<T>): Promise<T> {
    this.#refuseBusy();
    this.#busy = true;
    try {
      return await run();
    } finally {
      this.#busy = false;
    }
  }

  #refuseBusy(): void {
    if (this.#busy) throw new TypeError('trainer: expected one call at a time; a batch is under way.');
  }
}

/** A trainer with weights in its arena; fetched for each use, and activations made again, where that does not fit. */
function openTrainer(model: LlamaModel, options: TrainerOptions): { trainer: Trainer; staged: boolean } {
  const recompute = options.recompute === 'auto' ? 'none' : options.recompute;
  try {
    return { trainer: new Trainer(model, { ...options, recompute }), staged: false };
  } catch (error) {
    if (!(error instanceof MemoryBudgetError)) throw error;
  }
  return { trainer: new Trainer(stagedModel(model), options), staged: true };
}
