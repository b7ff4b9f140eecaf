/** What the page and its worker tell each other. All work is the worker's; the page shows and asks. */

/** A file that the page was given: only its reader loads it. */
export interface Given {
  /** Its name without folders. */
  readonly name: string;
  readonly blob: Blob;
}

export interface Settings {
  /** How the model is pruned first; `keep` leaves its zeros as they are. */
  readonly sparsity: string;
  readonly steps: number;
  readonly prompt: string;
  readonly rank: number;
  readonly learningRate: number;
  /** Rows of `length` tokens a step. */
  readonly batch: number;
  readonly length: number;
  readonly threads: number;
  readonly kernels: 'auto' | 'plain' | 'relaxed';
}

export interface Job {
  /** Files of a Hugging Face model directory; the built-in model when absent. */
  readonly model?: readonly Given[];
  /** Text or JSONL; the built-in text when absent. */
  readonly text?: Given;
  readonly settings: Settings;
}

export type Request =
  | { readonly ask: 'hello'; readonly store: 'auto' | 'IndexedDB' }
  | { readonly ask: 'train'; readonly job: Job }
  | { readonly ask: 'resume' }
  | { readonly ask: 'stop' }
  | { readonly ask: 'layer'; readonly name: string }
  | { readonly ask: 'download'; readonly what: 'adapter' | 'fused' }
  | { readonly ask: 'forget' };

/** A run that is kept in this browser. */
export interface Saved {
  readonly step: number;
  readonly steps: number;
  readonly model: string;
}

export interface Step {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
}

/** What the model knows, at one moment. */
export interface Sample {
  readonly text: string;
  /** On text that nothing trained on. */
  readonly perplexity: number;
  readonly tokens: number;
}

/** A corner of a weight matrix, [size, size]; 0 is pruned. */
export interface Pattern {
  readonly layer: string;
  readonly rows: number;
  readonly cols: number;
  readonly size: number;
  readonly values: Float32Array;
}

/** Zeros of all projections together. */
export interface Zeros {
  readonly pruned: number;
  readonly weights: number;
  /** Pruned weights that are not zero any more. */
  readonly filled: number;
}

export type Moment = 'before' | 'after';

export type Told =
  | {
      readonly tell: 'here';
      readonly kernels: string;
      readonly threads: number;
      readonly shared: boolean;
      readonly store: string;
      readonly saved?: Saved;
    }
  | { readonly tell: 'doing'; readonly what: string }
  | {
      readonly tell: 'started';
      readonly model: string;
      readonly parameters: number;
      readonly trainable: number;
      readonly kernels: string;
      readonly threads: number;
      readonly planned: number;
      readonly layers: readonly string[];
      readonly settings: Settings;
      readonly losses: readonly number[];
    }
  | ({ readonly tell: 'sample'; readonly moment: Moment } & Sample)
  | ({ readonly tell: 'step' } & Step)
  | { readonly tell: 'saved'; readonly step: number }
  | ({ readonly tell: 'pattern'; readonly moment: Moment } & Pattern)
  | ({ readonly tell: 'zeros' } & Zeros)
  | { readonly tell: 'ended'; readonly saved: Saved; readonly finished: boolean }
  | { readonly tell: 'file'; readonly name: string; readonly blob: Blob }
  | { readonly tell: 'forgotten' }
  | { readonly tell: 'failed'; readonly what: string; readonly why: string };
