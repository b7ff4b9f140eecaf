/** Fine-tuning from directories to a directory: the job of `lors finetune`. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DivergenceError, MemoryBudgetError, WorkerError } from '../core/errors.ts';
import type { Given } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { saveAdapter } from '../io/adapter.ts';
import { createOutputDirectory, outputError, writeFileAtomic } from '../io/atomic.ts';
import { saveModel } from '../io/model.ts';
import type { Sessions } from '../runtime/session.ts';
import { describe } from '../runtime/session.ts';
import { BatchStream, batchesOf } from '../train/batches.ts';
import { formatsOf } from './formats.ts';
import type { Host } from './host.ts';
import { arenaBudget, openHost, peakBytes, plannedBytes } from './host.ts';
import type { RunState } from './checkpoint.ts';
import { findCheckpoint, loadRun, saveRun } from './checkpoint.ts';
import type { TrainEvent } from './events.ts';
import { FINETUNE_OPTIONS } from './finetuneOptions.ts';
import { ElasticRun } from './elastic.ts';
import { modulesToWrite } from './modulesToWrite.ts';
import type { Prepared } from './prepare.ts';
import { initialized, prepare } from './prepare.ts';
import { checkSqft, largestRank } from './sqftOptions.ts';
import type { FinetuneSettings } from './training.ts';
import { checkTogether, scheduleOf, trainerOptionsOf } from './training.ts';
import type { Schedule } from '../train/schedule.ts';
import { learningRateAt } from '../train/schedule.ts';
import { Trainer } from '../train/trainer.ts';

export interface FinetuneHooks {
  /** Told of every event as it happens. */
  readonly onEvent?: (event: TrainEvent) => void;
  /** Awaited before each update, with the updates so far: where runs take turns. */
  readonly beforeStep?: (step: number) => Promise<void>;
  /** Stops the run after the step that is under way; a checkpoint is saved first. */
  readonly signal?: AbortSignal;
}

export interface FinetuneResult {
  readonly out: string;
  readonly steps: number;
  readonly interrupted: boolean;
  /** On the valid split at the end, where there is one. */
  readonly perplexity: number | undefined;
}

/**
 * Fine-tunes a model. OUT gets the adapter (PEFT's names; the whole model for method `full`), `checkpoint-N/`, `log.jsonl`,
 * and with `prune` the pruned base in `pruned/`.
 *
 * Throws RangeError or TypeError for options, FormatError or UnsupportedError for input, MemoryBudgetError before the run
 * where the plan is too large, OutputError where nothing can be written, DivergenceError where the loss stops being a
 * number, WorkerError where a thread fails or dies (the last checkpoint is kept).
 */
export async function finetune(options: Given<typeof FINETUNE_OPTIONS>, hooks: FinetuneHooks = {}): Promise<FinetuneResult> {
  const settings = resolveOptions(FINETUNE_OPTIONS, { ...options, rank: options.rank ?? largestRank(options) });
  checkTogether(settings, options);
  checkSqft(settings.method, options);
  const tell = hooks.onEvent ?? ((): void => undefined);
  const host = openHost(settings);
  const checkpoint = settings.resume === undefined ? undefined : findCheckpoint(settings.resume);
  const takeBack = createOutputDirectory(settings.out, settings.overwrite || settings.resume !== undefined ? 'allow' : 'refuse');
  let run: Run | undefined;
  try {
    run = await planned(settings, checkpoint, host, tell);
    await run.start();
    return await run.loop(hooks);
  } catch (error) {
    throw run ? run.withCheckpoint(error) : error;
  } finally {
    await run?.close();
    takeBack();
  }
}

/** The run, or why its plan is refused: what was pruned for it is not lost. */
async function planned(
  settings: FinetuneSettings,
  checkpoint: string | undefined,
  host: Host,
  tell: (event: TrainEvent) => void,
): Promise<Run> {
  const prepared = await prepare(settings, host, tell);
  try {
    const sessions = host.sessions(prepared.arena, await arenaBudget(settings.memory, prepared.arena, host.threads));
    const training = await initialized(settings, prepared, sessions, tell);
    return new Run(settings, checkpoint, { ...prepared, training }, host, sessions, tell);
  } catch (error) {
    if (!(error instanceof MemoryBudgetError) || prepared.base === settings.model) throw error;
    throw new MemoryBudgetError(`${error.message} The pruned model is kept: go on with --model ${prepared.base} and another --out.`);
  }
}

/** One run: the loop around the trainer. */
class Run {
  readonly #settings: FinetuneSettings;
  readonly #prepared: Omit<Prepared, 'training'>;
  readonly #host: Host;
  readonly #trainer: Trainer;
  readonly #stream: BatchStream;
  readonly #schedule: Schedule;
  readonly #elastic: ElasticRun | undefined;
  readonly #firstStep: number;
  readonly #tell: (event: TrainEvent) => void;
  readonly #log: string;
  /** Losses of the updates since the last report. */
  #pending: number[];
  /** The checkpoint to go on from, until the run starts. */
  #state: RunState | undefined;
  #saved: string | undefined;

  constructor(
    settings: FinetuneSettings,
    checkpoint: string | undefined,
    prepared: Prepared,
    host: Host,
    sessions: Sessions,
    tell: (event: TrainEvent) => void,
  ) {
    const { maxSeqLength, batchSize, seed } = settings;
    this.#settings = settings;
    // The initial factors are not kept: the trainer puts them where they train.
    const { training, ...kept } = prepared;
    this.#prepared = kept;
    this.#host = host;
    this.#tell = tell;
    this.#log = join(settings.out, 'log.jsonl');
    // Everything that can be refused is looked at before there are threads, which would have to be given back.
    const state = checkpoint === undefined ? undefined : loadRun(checkpoint, prepared.identity);
    this.#stream = new BatchStream(prepared.train, maxSeqLength, batchSize, state?.cursor ?? seed);
    this.#schedule = scheduleOf(settings, this.#stream.batchesPerEpoch);
    this.#trainer = new Trainer(prepared.model, trainerOptionsOf(settings, training, prepared, sessions));
    const nls = prepared.adapter?.nls;
    this.#elastic = nls && new ElasticRun(this.#trainer, nls, this.#trainer.compiled.gates.keys(), state?.ranks ?? seed);
    this.#state = state;
    this.#pending = [...(state?.pendingLosses ?? [])];
    this.#firstStep = state?.trainer.step ?? 0;
  }

  /** Goes on from the checkpoint, and tells the plan: what is resident with all threads there, and what the first step will add. */
  async start(): Promise<void> {
    if (this.#state) this.#trainer.restore(this.#state.trainer);
    this.#state = undefined;
    await this.#trainer.ready();
    this.#trimLog();
    const { model, train, valid, droppedRows } = this.#prepared;
    const { layout, compiled } = this.#trainer;
    this.#tell({
      event: 'start',
      model: model.name,
      method: this.#prepared.adapter?.method ?? 'full',
      kernels: this.#host.flavour,
      threads: this.#host.threads,
      formats: formatsOf(model),
      trainableParameters: compiled.store.size,
      trainDocuments: train.length,
      droppedRows,
      validDocuments: valid.length,
      steps: this.#schedule.steps,
      firstStep: this.#firstStep,
      tokensPerBatch: compiled.tiles * 16,
      plannedBytes: await plannedBytes(this.#trainer, this.#host.threads),
      plan: describe(layout),
      recomputedBlocks: this.#trainer.recomputed.blocks,
      recomputedMlps: this.#trainer.recomputed.mlps,
    });
  }

  close(): Promise<void> {
    return this.#trainer.close();
  }

  async loop({ signal, beforeStep }: FinetuneHooks): Promise<FinetuneResult> {
    const { stepsPerReport, stepsPerEval, saveEvery, gradAccumulationSteps } = this.#settings;
    const { steps } = this.#schedule;
    const began = performance.now();
    let since = began;
    let tokens = 0;
    let perplexity: number | undefined;
    while (this.#trainer.step < steps && !signal?.aborted) {
      await beforeStep?.(this.#trainer.step);
      const learningRate = learningRateAt(this.#schedule, this.#trainer.step);
      const batches = Array.from({ length: gradAccumulationSteps }, () => this.#stream.next());
      this.#elastic?.draw();
      const result = await this.#trainer.update(batches, learningRate);
      const { step } = this.#trainer;
      this.#pending.push(result.loss);
      tokens += result.tokens;
      const now = performance.now();
      const tokensPerSecond = tokens / ((now - since) / 1000);
      const secondsLeft = ((steps - step) * (now - began)) / 1000 / (step - this.#firstStep);
      const pace = { step, steps, tokensPerSecond, secondsLeft, peakBytes: peakBytes() };
      this.#tell({ event: 'progress', loss: result.loss, ...pace });
      if (step % stepsPerReport === 0 || step === steps) {
        const loss = this.#pending.reduce((a, b) => a + b, 0) / this.#pending.length;
        const { epoch } = this.#stream.cursor;
        this.#report({ event: 'step', loss, learningRate, gradNorm: result.gradNorm, epoch, tokens, ...pace });
        this.#pending = [];
        tokens = 0;
        since = now;
      }
      if (this.#prepared.valid.length > 0 && (step === steps || (stepsPerEval > 0 && step % stepsPerEval === 0)))
        perplexity = await this.#evaluate();
      if (saveEvery > 0 && step % saveEvery === 0 && step < steps) this.#save();
      // Lets timers, signals and whoever shares this thread have their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const step = this.#trainer.step;
    const interrupted = step < steps;
    this.#save();
    if (!interrupted) perplexity = (await this.#search(signal)) ?? perplexity;
    if (!interrupted) this.#saveResult(this.#settings.out, 'kept ranks');
    this.#tell({
      event: 'done',
      step,
      steps,
      out: this.#settings.out,
      interrupted,
      seconds: (performance.now() - began) / 1000,
      peakBytes: peakBytes(),
    });
    return { out: this.#settings.out, steps: step, interrupted, perplexity };
  }

  /** An error that ends the run, with what is kept of it. */
  withCheckpoint(error: unknown): unknown {
    if (!(error instanceof DivergenceError || error instanceof WorkerError)) return error;
    const kept = this.#saved ?? this.#settings.resume;
    const message = `${error.message} ${kept === undefined ? 'No checkpoint had been saved yet.' : `The last good checkpoint is ${kept}.`}`;
    return error instanceof WorkerError ? new WorkerError(message, { cause: error }) : new DivergenceError(message, { cause: error });
  }

  /** Looks for the ranks of the sub-adapter, and evaluates it, where that is asked for; `signal` ends it with the best so far. */
  async #search(signal: AbortSignal | undefined): Promise<number | undefined> {
    const { step } = this.#trainer;
    if (!this.#elastic || this.#settings.nlsSearch === 'heuristic') return undefined;
    const turns = this.#settings.nlsTurns;
    await this.#elastic.search(
      this.#settings,
      () => this.#validLoss(),
      (turn) => this.#report({ event: 'search', step, turns, ...turn }),
      signal,
    );
    return this.#evaluate();
  }

  async #evaluate(): Promise<number> {
    this.#elastic?.useKept();
    const loss = await this.#validLoss();
    const perplexity = Math.exp(loss);
    this.#report({ event: 'eval', step: this.#trainer.step, loss, perplexity });
    return perplexity;
  }

  async #validLoss(): Promise<number> {
    const { batchSize, valBatches } = this.#settings;
    let loss = 0;
    let labelled = 0;
    const batches = batchesOf(this.#prepared.valid, this.#settings.maxSeqLength, batchSize);
    for (const batch of valBatches > 0 ? batches.slice(0, valBatches) : batches) {
      const part = await this.#trainer.evaluate(batch);
      loss += part.loss;
      labelled += part.labelled;
    }
    if (!Number.isFinite(loss))
      throw new DivergenceError(`step ${this.#trainer.step}: the loss on the valid split is ${loss}. A lower --learning-rate may help.`);
    return loss / labelled;
  }

  #save(): void {
    const { identity } = this.#prepared;
    const path = saveRun(
      this.#settings.out,
      {
        trainer: this.#trainer.liveState(),
        cursor: this.#stream.cursor,
        identity,
        pendingLosses: this.#pending,
        ranks: this.#elastic?.state,
      },
      (directory) => this.#saveResult(directory, 'all ranks'),
    );
    this.#saved = path;
    this.#tell({ event: 'save', step: this.#trainer.step, path });
  }

  /**
   * The adapter, or the whole model where it is what trained. Of a super-adapter the ranks that are kept, and in super/ all
   * of them; in a checkpoint all.
   */
  #saveResult(directory: string, which: 'all ranks' | 'kept ranks'): void {
    const { adapter: config, model, base } = this.#prepared;
    if (!config) {
      saveModel({ ...this.#trainer.trainedModel(), name: model.name }, directory, { copyFrom: base, existing: 'allow' });
      return;
    }
    const elastic = which === 'kept ranks' ? this.#elastic : undefined;
    if (elastic) {
      const whole = join(directory, 'super');
      createOutputDirectory(whole, 'allow');
      saveAdapter(whole, { config, modules: modulesToWrite(this.#trainer) });
    }
    saveAdapter(directory, { config, modules: modulesToWrite(this.#trainer, elastic && ((name) => elastic.keptRank(name))) });
  }

  /** Tells, and adds a line to the log. */
  #report(event: TrainEvent): void {
    try {
      appendFileSync(this.#log, `${JSON.stringify(event)}\n`);
    } catch (error) {
      throw outputError(this.#log, error);
    }
    this.#tell(event);
  }

  /** A resumed run writes the lines after its checkpoint again; a new one starts the log anew. */
  #trimLog(): void {
    if (!existsSync(this.#log)) return;
    const lines = readFileSync(this.#log, 'utf8').split('\n').filter(Boolean);
    const kept = lines.filter((line) => stepOf(line) <= this.#firstStep);
    writeFileAtomic(
      this.#log,
      kept.map((line) => `${line}\n`),
    );
  }
}

/** The step of a line of the log; a line that a crash cut short belongs to none. */
function stepOf(line: string): number {
  try {
    return (JSON.parse(line) as { step: number }).step;
  } catch {
    return Infinity;
  }
}
