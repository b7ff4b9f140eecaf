/** What a run tells of itself, as plain data: the command prints it, `--json` prints it as it is. */

export interface StartEvent {
  readonly event: 'start';
  readonly model: string;
  readonly method: string;
  readonly kernels: string;
  readonly threads: number;
  /** How many projections go to the kernels of each weight format. */
  readonly formats: Readonly<Record<string, number>>;
  readonly trainableParameters: number;
  readonly trainDocuments: number;
  readonly droppedRows: number;
  readonly validDocuments: number;
  readonly steps: number;
  readonly firstStep: number;
  readonly tokensPerBatch: number;
  /** The highest resident set of the process, as planned. */
  readonly plannedBytes: number;
  /** What the arena is made of. */
  readonly plan: string;
  /** Blocks whose activations are made again in the backward pass, and of how many others those of the MLP. */
  readonly recomputedBlocks: number;
  readonly recomputedMlps: number;
}

export interface PruneEvent {
  readonly event: 'prune';
  readonly layer: number;
  readonly layers: number;
}

/** After each pass of the gradient initialisation. */
export interface InitEvent {
  readonly event: 'init';
  readonly pass: number;
  readonly passes: number;
  /** Windows that the gradient is the mean of. */
  readonly samples: number;
  /** Since the first pass began. */
  readonly seconds: number;
}

export interface StepEvent {
  readonly event: 'step';
  /** Updates so far. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  /** Mean over the updates since the last report. */
  readonly loss: number;
  readonly learningRate: number;
  readonly gradNorm: number;
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  readonly peakBytes: number;
}

/** After every update; for a live line, not for the log. */
export interface ProgressEvent {
  readonly event: 'progress';
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  readonly peakBytes: number;
}

export interface EvalEvent {
  readonly event: 'eval';
  readonly step: number;
  readonly loss: number;
  readonly perplexity: number;
}

/** A turn of the search for the ranks of a sub-adapter; 0 is the heuristic one. */
export interface SearchEvent {
  readonly event: 'search';
  readonly step: number;
  readonly turn: number;
  readonly turns: number;
  readonly loss: number;
  /** The lowest loss so far. */
  readonly best: number;
}

export interface SaveEvent {
  readonly event: 'save';
  readonly step: number;
  readonly path: string;
}

export interface DoneEvent {
  readonly event: 'done';
  readonly step: number;
  readonly steps: number;
  readonly out: string;
  readonly interrupted: boolean;
  readonly seconds: number;
  readonly peakBytes: number;
}

export type TrainEvent = StartEvent | PruneEvent | InitEvent | ProgressEvent | StepEvent | EvalEvent | SearchEvent | SaveEvent | DoneEvent;
