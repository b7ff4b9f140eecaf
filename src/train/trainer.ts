/** The training step: gradients of one or more batches added up, clipped, applied. No files, no schedule, no output. */
import { DivergenceError, explain } from '../core/errors.ts';
import { TILE } from '../kernels/table.ts';
import type { Training } from '../models/llama.ts';
import { CompiledLlama } from '../models/llama.ts';
import { encodeKept } from '../models/fuse.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Recomputed } from '../nn/block.ts';
import { EMBEDDING, HEAD } from '../models/names.ts';
import type { Sequence } from '../models/batch.ts';
import { targetTokens, writeBatch } from '../models/batch.ts';
import type { Layout } from '../program/layout.ts';
import type { Parameter } from '../program/parameters.ts';
import type { Program } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Session, Sessions } from '../runtime/session.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import type { Ranks } from './nls.ts';
import { openGates, wholeRanks } from './nls.ts';
import type { AdamW, Optimizer } from './optimizer.ts';
import { hyperOf, optimizer } from './optimizer.ts';
import type { RecomputeChoice } from './recompute.ts';
import { whatToRecompute } from './recompute.ts';

export interface TrainerOptions {
  readonly training: Training;
  readonly optimizer: AdamW;
  /** Batches of an update: where there is only 1, its gradients take the place of activations that are done with. Any number when absent. */
  readonly batchesPerUpdate?: number;
  /** Tokens that a batch may have, and the longest sequence. */
  readonly batchTokens: number;
  readonly maxSeqLength: number;
  /** Which blocks' activations are made again in the backward pass: none, all, or as many as it takes to fit. */
  readonly recompute: RecomputeChoice;
  /** Where the programs run. */
  readonly sessions: Sessions;
}

export interface StepResult {
  /** Mean over the labelled tokens of all batches, before the update. */
  readonly loss: number;
  /** Global norm of the gradients before clipping. */
  readonly gradNorm: number;
  readonly tokens: number;
  readonly labelled: number;
}

/** The state that training changes, by parameter name; what a checkpoint holds. */
export interface TrainerState {
  readonly step: number;
  /** Parameters and moments; gradients too where an update is under way. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** The batches that the update under way has had; absent between updates. */
  readonly partial?: PartialUpdate | undefined;
}

/** An update that has had some of its batches. */
export interface PartialUpdate {
  readonly batches: number;
  /** Labelled tokens of all batches of the update, those to come included. */
  readonly labelled: number;
  /** Summed loss and tokens of the batches so far. */
  readonly loss: number;
  readonly tokens: number;
}

export class Trainer {
  readonly compiled: CompiledLlama;
  readonly model: LlamaModel;
  /** The activations that are made again in the backward pass. */
  readonly recomputed: Recomputed;
  readonly #session: Session;
  readonly #optimizer: Optimizer;
  readonly #adamw: AdamW;
  readonly #accumulates: boolean;
  #step = 0;
  #partial: PartialUpdate | undefined;

  constructor(model: LlamaModel, options: TrainerOptions) {
    this.model = model;
    this.#adamw = options.optimizer;
    this.#accumulates = options.batchesPerUpdate !== 1;
    this.compiled = new CompiledLlama(model, {
      accumulates: this.#accumulates,
      tiles: Math.ceil(options.batchTokens / TILE),
      positions: options.maxSeqLength,
      training: options.training,
    });
    this.#optimizer = optimizer(this.compiled.store, options.optimizer);
    const { clear, measure, update } = this.#optimizer;
    const rest = [this.compiled.evaluate(), ...(this.#accumulates ? [clear] : []), measure, update];
    const programs = (recomputed: Recomputed): Program[] => [this.compiled.train(recomputed), ...rest];
    this.recomputed = whatToRecompute(options, model.config.layers, programs);
    this.#session = options.sessions.open(programs(this.recomputed));
    // The arena has them now; a second copy would stay for the whole run.
    this.compiled.store.forgetInitial();
    this.useRanks(wholeRanks(this.compiled));
  }

  /** Resolves when all threads are there. */
  async ready(): Promise<void> {
    await this.#session.ready();
  }

  /** Gives threads back; the trainer can be read, but not run, from then on. */
  async close(): Promise<void> {
    await this.#session.close();
  }

  /** Bytes of the arena that were not resident yet when the trainer was made. */
  get untouched(): number {
    return this.#session.untouched;
  }

  /** The arena: what the run needs and why. */
  get layout(): Layout {
    return this.#session.layout;
  }

  /** Updates so far. */
  get step(): number {
    return this.#step;
  }

  /** The update under way, between its first batch and `apply`. */
  get partial(): PartialUpdate | undefined {
    return this.#partial;
  }

  /**
   * One update from the gradients of `batches` together, each labelled token weighing the same.
   * Throws DivergenceError, before any parameter changes, where the loss or the norm is not a number.
   */
  async update(batches: readonly (readonly Sequence[])[], learningRate: number): Promise<StepResult> {
    const labelled = labelledIn(batches);
    if (batches.length > 1 && !this.#accumulates) throw new RangeError(explain('update', 'one batch', `${batches.length}`));
    for (const batch of batches) await this.accumulate(batch, labelled);
    return this.apply(learningRate);
  }

  /**
   * Adds the gradients of one batch of an update; `labelled` are the labelled tokens of all its batches. Throws DivergenceError
   * where the loss is not a number; the update is given up then.
   */
  async accumulate(batch: readonly Sequence[], labelled: number): Promise<void> {
    if (labelled === 0) throw new RangeError('update: expected at least one labelled token, got none.');
    this.#betweenUpdates('accumulate');
    const session = this.#session;
    if (this.#accumulates && !this.#partial) await session.run('clear', NOTHING);
    const before = this.#partial ?? { batches: 0, labelled, loss: 0, tokens: 0 };
    this.#partial = undefined;
    const counts = writeBatch(session, this.compiled.inputs, batch, this.model.config.vocabSize);
    session.floats(this.compiled.inputs.lossScale)[0] = 1 / labelled;
    await session.run('train', counts);
    const loss = this.#sumLosses(counts.labelled);
    if (!Number.isFinite(loss)) {
      const where = session.findNonFinite('train', counts) ?? 'the loss';
      throw new DivergenceError(
        `step ${this.#step + 1}: the loss is ${loss}; first in ${where}. Nothing was updated. A lower --learning-rate, --warmup or --max-grad-norm may help.`,
      );
    }
    this.#partial = { batches: before.batches + 1, labelled, loss: before.loss + loss, tokens: before.tokens + counts.tokens };
  }

  /** Ends an update. Throws DivergenceError, before any parameter changes, where the norm is not a number. */
  async apply(learningRate: number): Promise<StepResult> {
    const session = this.#session;
    const partial = this.#partial;
    if (!partial) throw new RangeError('apply: expected gradients of at least one batch, got none.');
    session.write(this.#optimizer.hyper, hyperOf(this.#adamw, learningRate, this.#step + 1));
    await session.run('measure', NOTHING);
    this.#partial = undefined;
    const gradNorm = session.floats(this.#optimizer.norm)[0]!;
    if (!Number.isFinite(gradNorm)) {
      throw new DivergenceError(
        `step ${this.#step + 1}: the gradient's norm is ${gradNorm}. Nothing was updated. A lower --learning-rate may help.`,
      );
    }
    await session.run('update', NOTHING);
    this.#step++;
    const { loss, tokens, labelled } = partial;
    return { loss: loss / labelled, gradNorm, tokens, labelled };
  }

  /** From now on elastic factors run with these ranks of each group; the gradients of the others are zero. */
  useRanks(ranks: Ranks): void {
    openGates(this.#session, this.compiled, ranks);
  }

  /** Summed loss and labelled tokens of one batch, with the parameters as they are. */
  async evaluate(batch: readonly Sequence[]): Promise<{ loss: number; labelled: number }> {
    this.#betweenUpdates('evaluate');
    const counts = writeBatch(this.#session, this.compiled.inputs, batch, this.model.config.vocabSize);
    await this.#session.run('evaluate', counts);
    return { loss: this.#sumLosses(counts.labelled), labelled: counts.labelled };
  }

  /** A copy of a parameter as it is now, in the arena's layout. */
  parameter(parameter: Parameter): Float32Array {
    return this.liveParameter(parameter).slice();
  }

  /** The same as a live view, for who is done with it before the next step. */
  liveParameter({ value, length }: Parameter): Float32Array {
    return this.#session.floats(value).subarray(0, length);
  }

  /** A copy of the gradient of a parameter after the last step, before clipping; until the next program runs where an update has one batch. */
  gradient({ gradient, length }: Parameter): Float32Array {
    return this.#session.floats(gradient).slice(0, length);
  }

  /** The model with what full training has made of it; its element types are kept (values round to them). */
  trainedModel(): LlamaModel {
    const { store } = this.compiled;
    const values = new Map(store.runs.flatMap((run) => run.parameters.map((p) => [p.name, p] as const)));
    const trained = <W extends PackedWeight>(name: string, weight: W): W => {
      const parameter = values.get(name);
      return parameter ? encodeKept(weight, this.parameter(parameter), weight.dtype) : weight;
    };
    const { linears, gains, embedding, head } = this.model;
    return {
      ...this.model,
      linears: new Map([...linears].map(([name, weight]) => [name, trained(name, weight)])),
      gains: new Map(
        [...gains].map(([name, gain]) => [name, values.has(name) ? { ...gain, values: this.parameter(values.get(name)!) } : gain]),
      ),
      embedding: trained(EMBEDDING, embedding),
      head: head && trained(HEAD, head),
    };
  }

  /** A copy of everything that training changes. */
  state(): TrainerState {
    const { tensors, ...rest } = this.liveState();
    return { ...rest, tensors: new Map([...tensors].map(([name, data]) => [name, data.slice()])) };
  }

  /** The same as live views, for who is done with them before the next step. */
  liveState(): TrainerState {
    const tensors = new Map<string, Float32Array>();
    for (const { name, value, offset, length } of this.#changing(this.#partial))
      tensors.set(name, this.#session.floats(value).subarray(offset, offset + length));
    return { step: this.#step, tensors, partial: this.#partial };
  }

  /** Goes on from a state. Throws RangeError where it does not belong to these parameters. */
  restore(state: TrainerState): void {
    // Between a gradient and the next there is padding, which counts in the norm: it may be what another program has left.
    if (state.partial) for (const { gradients } of this.compiled.store.runs) this.#session.floats(gradients).fill(0);
    for (const { name, value, offset, length } of this.#changing(state.partial)) {
      const data = state.tensors.get(name);
      if (data?.length !== length) {
        throw new RangeError(
          `checkpoint: ${name}: expected ${length} numbers, got ${data?.length ?? 'none'}. Was it made with other options?`,
        );
      }
      this.#session.floats(value).set(data, offset);
    }
    this.#step = state.step;
    this.#partial = state.partial;
  }

  /** Every parameter and its moments, and gradients within an update: name, run and place in floats. */
  *#changing(partial: PartialUpdate | undefined): Generator<{ name: string; value: Value; offset: number; length: number }> {
    for (const run of this.compiled.store.runs) {
      const parts = {
        parameter: run.values,
        first_moment: run.firstMoments,
        second_moment: run.secondMoments,
        ...(partial && { gradient: run.gradients }),
      };
      for (const { name, offset, length } of run.parameters) {
        for (const [part, value] of Object.entries(parts)) yield { name: `${name}.${part}`, value, offset, length };
      }
    }
  }

  /** Throws where a program would write over the gradients of the update under way. */
  #betweenUpdates(what: string): void {
    if (this.#partial && !this.#accumulates) throw new RangeError(explain(what, 'one batch an update', 'an update that has its batch'));
  }

  #sumLosses(labelled: number): number {
    const losses = this.#session.floats(this.compiled.losses);
    let sum = 0;
    for (let i = 0; i < labelled; i++) sum += losses[i]!;
    return sum;
  }
}

/** Labelled tokens of all batches together. */
export function labelledIn(batches: readonly (readonly Sequence[])[]): number {
  return batches.flat().reduce((n, s) => n + targetTokens(s), 0);
}

const NOTHING = { tokens: 0, tiles: 0, labelled: 0, labelTiles: 0 };
