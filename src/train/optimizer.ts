/** AdamW with clipping by the global norm, as programs over the runs of trained parameters. */
import type { ParameterStore } from '../program/parameters.ts';
import type { Program } from '../program/program.ts';
import { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import { at } from '../program/value.ts';

export interface AdamW {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled weight decay; norms are spared. */
  readonly weightDecay: number;
  /** Gradients are scaled down to this global norm; 0 leaves them alone. */
  readonly maxGradNorm: number;
}

export interface Optimizer {
  /** Sets every gradient to zero. */
  readonly clear: Program;
  /** The global norm of the gradients, and what clipping multiplies them by. */
  readonly measure: Program;
  /** Applies the clipped gradients. */
  readonly update: Program;
  /** f32 [lr, beta1, beta2, epsilon, c1, c2, clip]; the last is the program's own. */
  readonly hyper: Value;
  /** One f32: the global norm of the gradients before clipping. */
  readonly norm: Value;
}

/** Emits the programs for every run of a store. */
export function optimizer(store: ParameterStore, options: AdamW): Optimizer {
  const hyper: Value = { name: 'hyper', bytes: 32, kind: 'input' };
  const norm: Value = { name: 'gradient norm', bytes: 4, kind: 'output' };
  const clear = new ProgramBuilder('clear', 0);
  const measure = new ProgramBuilder('measure', 0);
  const update = new ProgramBuilder('update', 0);
  const chunks = store.runs.reduce((n, run) => n + run.chunks, 0);
  const partials: Value = { name: 'partial sums', bytes: chunks * 8, kind: 'output' };
  let before = 0;
  for (const run of store.runs) {
    clear.emit('clear', run.chunks, { x: run.gradients });
    measure.emit('sumSquares', run.chunks, { partials: at(partials, before * 8), x: run.gradients });
    before += run.chunks;
  }
  measure.emit('clipScale', 1, { norm, clip: at(hyper, 24), partials, n: chunks, maxNorm: options.maxGradNorm });
  for (const run of store.runs) {
    const { values: parameters, firstMoments: m, secondMoments: v, gradients } = run;
    update.emit('adamw', run.chunks, { parameters, m, v, gradients, hyper, decay: run.decayed ? options.weightDecay : 0 });
  }
  return { clear: clear.finish(), measure: measure.finish(), update: update.finish(), hyper, norm };
}

/** The hyper-parameters of one update; `step` counts from 1. */
export function hyperOf(options: AdamW, learningRate: number, step: number): Float32Array {
  const { beta1, beta2, epsilon } = options;
  return Float32Array.of(learningRate, beta1, beta2, epsilon, 1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step));
}
