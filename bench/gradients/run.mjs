// One training run by a trial's gradient, on the thread that calls it: deterministic, and its ops can be timed one by one.
import { WeightOps } from '../../dist/adapters/weightOps.js';
import { instantiateKernels } from '../../dist/kernels/load.js';
import { Random } from '../../dist/core/random.js';
import { targetTokens, writeBatch } from '../../dist/models/batch.js';
import { CompiledLlama } from '../../dist/models/llama.js';
import { PROJECTIONS } from '../../dist/models/names.js';
import { at } from '../../dist/program/value.js';
import { LocalSession } from '../../dist/runtime/local.js';
import { run } from '../../dist/runtime/run.js';
import { ALONE } from '../../dist/runtime/session.js';
import { initialFactors } from '../../dist/train/initial.js';
import { hyperOf, optimizer } from '../../dist/train/optimizer.js';
import { learningRateAt } from '../../dist/train/schedule.js';
import { TrialLinear } from './trials.mjs';

const ADAMW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
const NOTHING = { tokens: 0, tiles: 0, labelled: 0, labelTiles: 0 };

/** A session whose steps can be run one at a time. */
class OpenSession extends LocalSession {
  /** The kernels over its memory, and a function for each step of the programs. @param {readonly string[]} programs @param {import('../../dist/program/program.js').Counts} counts */
  steps(programs, counts) {
    const kernels = instantiateKernels(this.module, this.arena.memory);
    const walker = { ...ALONE, scratch: this.layout.scratch, stage: () => undefined };
    return programs.flatMap((name) => this.program(name).steps.map((step) => () => run([step], kernels, counts, walker)));
  }
}

/** @typedef {import('../../dist/models/batch.js').Sequence} Sequence */

export class GradientRun {
  #model;
  #trial;
  #compiled;
  #session;
  #optimizer;
  #update;
  #step = 0;
  /** @type {import('../../dist/program/value.js').Value} What gradients start from, where it is not zero. */
  #correction = { name: 'correction', bytes: 0, kind: 'state' };
  /** @type {{ value: import('../../dist/program/value.js').Value, fill: (out: Float32Array, read: (p: any) => Float32Array) => void }[]} */
  #hosted = [];

  /**
   * @param {import('../../dist/models/model.js').LlamaModel} model
   * @param {import('./trials.mjs').Trial} trial
   * @param {{ length: number, windows: number, rank: number, seed: number, module: WebAssembly.Module }} options
   */
  constructor(model, trial, { length, windows, rank, seed, module }) {
    this.#model = model;
    this.#trial = trial;
    this.#update = trial.update?.();
    const { gradient, emit } = trial;
    const phases = Math.max(...this.#phases) + 1;
    let phase = 0;
    const rest = () => ({
      phase,
      phases,
      correction: (/** @type {{ offset: number }} */ view) => at(this.#correction, view.offset),
      hosted: (/** @type {number} */ bytes, /** @type {any} */ fill) => {
        const value = { name: 'hosted', bytes, kind: /** @type {const} */ ('state') };
        this.#hosted.push({ value, fill });
        return value;
      },
    });
    const factors = initialFactors(model, PROJECTIONS, rank, seed);
    /** @type {CompiledLlama} */
    const compiled = new CompiledLlama(model, {
      tiles: Math.ceil((length * windows) / 16),
      positions: length,
      // alpha = 2 rank, as by default.
      training: { method: 'lors', gradient, scaling: 2, factors },
      ...(emit && {
        wrap: (/** @type {any} */ layer) =>
          new TrialLinear(layer.name, new WeightOps(layer.name, layer.ops.weight), layer.factors, emit, rest),
      }),
    });
    this.#compiled = compiled;
    this.#correction = { ...this.#correction, bytes: compiled.store.decayed.gradients.bytes };
    const trains = Array.from({ length: phases }, (_, i) => {
      phase = i;
      return { ...compiled.train(), name: `train ${i}` };
    });
    this.#optimizer = optimizer(compiled.store, ADAMW);
    const { clear, measure, update } = this.#optimizer;
    this.#session = new OpenSession([...trains, compiled.evaluate(), clear, measure, update], { module });
    compiled.store.forgetInitial();
  }

  get #phases() {
    return this.#trial.phases ?? [0];
  }

  /** One update; the loss before it. @param {readonly Sequence[]} batch @param {number} rate */
  step(batch, rate) {
    const { session, counts, phase } = this.#begin(batch);
    session.run(`train ${phase}`, counts);
    const losses = session.floats(this.#compiled.losses).subarray(0, counts.labelled);
    session.write(this.#optimizer.hyper, hyperOf(ADAMW, rate, ++this.#step));
    session.run('measure', NOTHING);
    if (this.#update) this.#updateOnHost(this.#update, rate);
    else session.run('update', NOTHING);
    return losses.reduce((a, b) => a + b, 0) / counts.labelled;
  }

  /** Perplexity. @param {readonly (readonly Sequence[])[]} batches */
  evaluate(batches) {
    let loss = 0;
    let labelled = 0;
    for (const batch of batches) {
      const counts = writeBatch(this.#session, this.#compiled.inputs, batch, this.#model.config.vocabSize);
      this.#session.run('evaluate', counts);
      loss += this.#session
        .floats(this.#compiled.losses)
        .subarray(0, counts.labelled)
        .reduce((a, b) => a + b, 0);
      labelled += counts.labelled;
    }
    return Math.exp(loss / labelled);
  }

  /**
   * The steps of each program of a round, as functions to time; how many of the round's steps are that program's.
   * @param {readonly Sequence[]} batch
   */
  timed(batch) {
    const { session, counts } = this.#begin(batch);
    session.write(this.#optimizer.hyper, hyperOf(ADAMW, 1e-6, 1));
    return [...new Set(this.#phases)].map((phase) => ({
      share: this.#phases.filter((p) => p === phase).length / this.#phases.length,
      ops: session.steps(['clear', `train ${phase}`, 'measure', 'update'], counts),
    }));
  }

  /** @param {readonly Sequence[]} batch */
  #begin(batch) {
    const session = this.#session;
    const { gradients } = this.#compiled.store.decayed;
    const phase = this.#phases[this.#step % this.#phases.length];
    session.run('clear', NOTHING);
    if (session.has(this.#correction)) {
      if (phase === 0) session.floats(this.#correction).fill(0);
      else session.floats(gradients).set(session.floats(this.#correction));
    }
    for (const { value, fill } of this.#hosted)
      fill(session.floats(value), ({ value: ref, length }) => session.floats(ref).subarray(0, length));
    const counts = writeBatch(session, this.#compiled.inputs, batch, this.#model.config.vocabSize);
    session.floats(this.#compiled.inputs.lossScale)[0] = 1 / batch.reduce((n, sequence) => n + targetTokens(sequence), 0);
    return { session, counts, phase };
  }

  /** @param {import('./updates.mjs').Update} update @param {number} rate */
  #updateOnHost(update, rate) {
    const session = this.#session;
    const { values, gradients, firstMoments, secondMoments } = this.#compiled.store.decayed;
    const clip = Math.min(1, ADAMW.maxGradNorm / (session.floats(this.#optimizer.norm)[0] + 1e-6));
    for (const { padded, ...factors } of this.#compiled.factors.values()) {
      for (const role of /** @type {const} */ (['up', 'down'])) {
        const { name, offset, length } = role === 'up' ? factors.up : factors.downT;
        const part = (/** @type {import('../../dist/program/value.js').Value} */ value) =>
          session.floats(value).subarray(offset, offset + length);
        const gradient = part(gradients).map((g) => g * clip);
        update({ name, role, r: padded, value: part(values), gradient, m: part(firstMoments), v: part(secondMoments) }, rate, this.#step);
      }
    }
  }
}

/**
 * Perplexity on held-out windows after so many steps; NaN where the loss stopped being a number.
 * @param {{ model: any, train: readonly Sequence[], valid: readonly Sequence[] }} data
 * @param {import('./trials.mjs').Trial} trial
 * @param {{ length: number, windows: number, rank: number, seed: number, module: WebAssembly.Module, steps: number, rate: number }} options
 */
export function trained({ model, train, valid }, trial, { steps, rate, ...options }) {
  const training = new GradientRun(model, trial, options);
  const { windows, seed } = options;
  const schedule = { kind: /** @type {const} */ ('cosine'), learningRate: rate, minLearningRate: 0, warmup: Math.round(steps / 15), steps };
  const random = new Random(seed + 1);
  /** @type {number[]} */
  let order = [];
  for (let step = 0; step < steps; step++) {
    if (order.length < windows) order = [...order, ...random.permutation(train.length)];
    const loss = training.step(
      order.splice(0, windows).map((i) => train[i]),
      learningRateAt(schedule, step),
    );
    if (!Number.isFinite(loss)) return NaN;
  }
  const batches = Array.from({ length: Math.ceil(valid.length / windows) }, (_, i) => valid.slice(i * windows, (i + 1) * windows));
  return training.evaluate(batches);
}

/**
 * Milliseconds that a step of each trial computes: each op of it counts with its best time in rounds that go through all trials in
 * turn, so that other work on the machine, which only makes ops slower, is left out.
 * @param {readonly GradientRun[]} runs @param {readonly Sequence[]} batch @param {number} rounds
 */
export function costs(runs, batch, rounds) {
  const all = runs.map((one) => one.timed(batch).map(({ share, ops }) => ({ share, ops, best: ops.map(() => Infinity) })));
  for (let round = 0; round < rounds; round++) {
    for (const { ops, best } of all.flat()) {
      ops.forEach((op, i) => {
        const began = performance.now();
        op();
        best[i] = Math.min(best[i], performance.now() - began);
      });
    }
  }
  return all.map((programs) => programs.reduce((sum, { share, best }) => sum + share * best.reduce((a, b) => a + b, 0), 0));
}
