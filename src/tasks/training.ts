/** From the options of fine-tuning to what trains, how, and what a run that goes on must have in common with its start. No files. */
import type { AdapterConfig } from '../adapters/adapter.ts';
import { scalingOf } from '../adapters/adapter.ts';
import type { FactorTensors } from '../adapters/factors.ts';
import { ruleOf } from '../adapters/methods.ts';
import type { RankSharing } from '../adapters/rule.ts';
import { FormatError, explain } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import type { Given, Resolved } from '../core/options.ts';
import { Random } from '../core/random.ts';
import type { Sequence } from '../models/batch.ts';
import { longestInput, totalInput } from '../models/batch.ts';
import type { Training } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Sessions } from '../runtime/session.ts';
import { Fingerprint } from '../sparse/fingerprint.ts';
import type { Schedule } from '../train/schedule.ts';
import type { TrainerOptions } from '../train/trainer.ts';
import type { FINETUNE_OPTIONS } from './finetuneOptions.ts';
import { PRUNING } from './pruningOptions.ts';
import { SEARCHING } from './sqftOptions.ts';

export type FinetuneSettings = Resolved<typeof FINETUNE_OPTIONS>;

/** What a run is made of, wherever it came from. */
export interface RunParts {
  readonly model: LlamaModel;
  /** Windows of at most maxSeqLength input tokens. */
  readonly train: readonly Sequence[];
  readonly valid: readonly Sequence[];
  readonly droppedRows: number;
  readonly training: Training;
  /** The adapter's rule, its factors still to come; absent for full training. */
  readonly adapter: AdapterConfig | undefined;
  /** What a run that goes on must have in common with this one. */
  readonly identity: Identity;
}

/** Throws RangeError where options were given that do not go together, or that the method has no use for. */
export function checkTogether(
  { method, init = 'kaiming' }: Pick<FinetuneSettings, 'method'> & Partial<Pick<FinetuneSettings, 'init'>>,
  { gradient, merge, iters, epochs }: Pick<Given<typeof FINETUNE_OPTIONS>, 'gradient' | 'merge' | 'iters' | 'epochs'>,
): void {
  if (iters !== undefined && epochs !== undefined) throw new RangeError(explain('--iters and --epochs', 'one of them', 'both'));
  const gradients = method === 'full' ? [] : ruleOf(method).gradients;
  if (gradient !== undefined && !gradients.includes(gradient)) {
    throw new RangeError(explain('--gradient', `${gradients.join(' or ') || 'none'} with --method ${method}`, gradient));
  }
  if (merge === 'keep' && (method === 'full' || !ruleOf(method).merges))
    throw new RangeError(explain('--merge', `a method that merges; ${method} never does`, merge));
  const why = method === 'full' ? 'it has no factors' : ruleOf(method).noGradientInit;
  if (init === 'gradient' && why !== undefined)
    throw new RangeError(
      explain('--init gradient', 'a --method whose update is a product of two factors', method, `Of ${method}, ${why}.`),
    );
}

/** What trains, from factors as they start; all of the model where there are none. `sharing` is that of elastic ranks. */
export function trainingOfSettings(
  settings: Pick<FinetuneSettings, 'method' | 'gradient' | 'merge' | 'alpha' | 'rank' | 'rslora'>,
  factors: ReadonlyMap<string, FactorTensors> | undefined,
  sharing?: RankSharing,
): Training {
  const { method, gradient, merge, alpha, rank, rslora } = settings;
  if (method === 'full' || factors === undefined) return { method: 'full' };
  return { method, gradient, merge, scaling: scalingOf(alpha, rank, rslora), factors, elastic: sharing };
}

/** The course of the learning rate over `iters` updates, or those that `epochs` come to. */
export function scheduleOf(
  settings: Pick<
    FinetuneSettings,
    'iters' | 'epochs' | 'gradAccumulationSteps' | 'lrSchedule' | 'learningRate' | 'minLearningRate' | 'warmup'
  >,
  batchesPerEpoch: number,
): Schedule {
  const { iters, epochs, gradAccumulationSteps, lrSchedule: kind, learningRate, minLearningRate, warmup } = settings;
  if (minLearningRate > learningRate)
    throw new RangeError(explain('--min-learning-rate', `at most the --learning-rate, ${learningRate}`, `${minLearningRate}`));
  const steps = iters ?? Math.max(1, Math.ceil((epochs * batchesPerEpoch) / gradAccumulationSteps));
  return { kind, learningRate, minLearningRate, warmup, steps };
}

/** The trainer that options ask for, with room for these windows. */
export function trainerOptionsOf(
  settings: Pick<
    FinetuneSettings,
    | 'gradAccumulationSteps'
    | 'adamBeta1'
    | 'adamBeta2'
    | 'adamEpsilon'
    | 'weightDecay'
    | 'maxGradNorm'
    | 'maxSeqLength'
    | 'batchSize'
    | 'recompute'
  >,
  training: Training,
  { train, valid }: { readonly train: readonly Sequence[]; readonly valid: readonly Sequence[] },
  sessions: Sessions,
): TrainerOptions {
  const { maxSeqLength, batchSize } = settings;
  return {
    training,
    optimizer: {
      beta1: settings.adamBeta1,
      beta2: settings.adamBeta2,
      epsilon: settings.adamEpsilon,
      weightDecay: settings.weightDecay,
      maxGradNorm: settings.maxGradNorm,
    },
    batchTokens: Math.min(maxSeqLength * batchSize, Math.max(totalInput(train), totalInput(valid))),
    batchesPerUpdate: settings.gradAccumulationSteps,
    maxSeqLength: Math.max(longestInput(train), longestInput(valid)),
    recompute: settings.recompute,
    sessions,
  };
}

/** Windows for calibration, drawn without replacement: the longest of twice as many, so that short rows do not starve it. */
export function sampleWindows(all: readonly Sequence[], count: number, seed: number): Sequence[] {
  const drawn = Array.from(new Random(seed).permutation(all.length).slice(0, count * 2), (i) => all[i]!);
  return drawn.sort((a, b) => b.ids.length - a.ids.length).slice(0, count);
}

/** Options that a resumed run may change: they do not touch what the steps so far would have been. */
const FREE = new Set<string>([
  'model',
  'data',
  'out',
  'prune',
  'sparsity',
  ...Object.keys(PRUNING),
  'calibrationSamples',
  ...Object.keys(SEARCHING),
  'memory',
  'recompute',
  'merge',
  'stepsPerReport',
  'stepsPerEval',
  'valBatches',
  'saveEvery',
  'resume',
  'overwrite',
  'kernels',
  'threads',
  'weights',
]);

/** What a run must have in common with the one that it goes on from. */
export type Identity = Readonly<Record<string, unknown>>;

/** Every option that the steps depend on, the data, and what else the caller knows that they do. */
export function identityOf(settings: Readonly<Record<string, unknown>>, train: readonly Sequence[], others: Identity): Identity {
  // Only a schedule that does not know its end can be given another one.
  const free = settings['lrSchedule'] === 'constant' ? new Set([...FREE, 'iters', 'epochs']) : FREE;
  const bound = Object.entries(settings).filter(([name, value]) => !free.has(name) && value !== undefined);
  // The data come first: where they choose the masks, it is they that differ.
  return { ...Object.fromEntries(bound), data: dataFingerprint(train), ...others };
}

/** Throws FormatError where a run is not of this version. */
export function checkVersion(where: string, version: unknown): void {
  if (version === VERSION) return;
  const got = `one of ${typeof version === 'string' ? version : 'an unknown version'}`;
  const hint = 'Another version may add in another order, and the run would not be the same: go on with the one that began it.';
  throw new FormatError(explain(where, `a run of lors-wasm ${VERSION}`, got, hint));
}

/** Throws FormatError naming the first thing in which a run is not the one that it goes on from. */
export function checkIdentity(where: string, was: Identity, identity: Identity): void {
  // What only one of them has differs too: an option that was given then and is not now, or the other way round.
  for (const name of new Set([...Object.keys(identity), ...Object.keys(was)])) {
    // Of what is not there JSON.stringify gives undefined, whatever its type says.
    const [then, now] = [was[name], identity[name]].map((value) => JSON.stringify(value) as string | undefined);
    if (then !== now) throw new FormatError(explain(`${where}: ${name}`, `${then ?? 'none'} as in the interrupted run`, now ?? 'none'));
  }
}

function dataFingerprint(all: readonly Sequence[]): string {
  const fingerprint = new Fingerprint();
  for (const { ids, targets } of all) {
    fingerprint.add(ids.length);
    fingerprint.addAll(ids);
    if (targets) fingerprint.addAll(targets);
  }
  return fingerprint.digest();
}
