/** The job of `lors compare`: every method on one model and one text, each at the best of some learning rates. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ruleOf } from '../../adapters/methods.ts';
import type { Given, Resolved } from '../../core/options.ts';
import { resolveOptions } from '../../core/options.ts';
import { VERSION } from '../../core/version.ts';
import { loadAdapter } from '../../io/adapter.ts';
import { createOutputDirectory } from '../../io/atomic.ts';
import { kernelModule } from '../../io/kernelModule.ts';
import { loadModel } from '../../io/model.ts';
import { fuseAdapter } from '../../models/adapter.ts';
import type { LlamaModel } from '../../models/model.ts';
import { evaluate } from '../../tasks/evaluate.ts';
import type { finetune } from '../../tasks/finetune.ts';
import type { FINETUNE_METHODS } from '../../tasks/trainingOptions.ts';
import { prune } from '../../tasks/prune.ts';
import { heldOut } from '../heldOut.ts';
import { hostOf } from '../host.ts';
import type { RunResult } from './contest.ts';
import { contest } from './contest.ts';
import { COMPARE_OPTIONS, OF_INIT, OF_PRUNING, OF_RUNS, picked } from './options.ts';
import { saveComparison } from './report.ts';
import { secondsTo } from './target.ts';
import type { CompareReport, MethodRow, MethodRun } from './types.ts';
import { zerosKept } from './zeros.ts';

type Settings = Resolved<typeof COMPARE_OPTIONS>;
type Method = (typeof FINETUNE_METHODS)[number];

/** A run that has come to its end. */
export type CompareEvent = { readonly event: 'run' } & MethodRun;

export interface CompareHooks {
  /** Told of every run that has come to its end. */
  readonly onEvent?: (event: CompareEvent) => void;
  /** Ends the comparison, which throws the signal's reason and leaves nothing behind. */
  readonly signal?: AbortSignal;
}

export interface CompareResult {
  readonly report: CompareReport;
  /** What was written. */
  readonly files: readonly string[];
}

/** A run, and where its result lies. */
interface Kept {
  readonly learningRate: number;
  readonly out: string;
  readonly result: RunResult;
}

/**
 * Compares methods. For each learning rate all methods run side by side, each in a process of its own, a few updates in turn, on the
 * same data in the same order; each keeps the rate that ends at the lowest held-out perplexity.
 *
 * Throws as fine-tuning does, with the method named; MemoryBudgetError before the first update where the machine's memory is less
 * than the plans of all methods together.
 */
export async function compare(options: Given<typeof COMPARE_OPTIONS>, { onEvent, signal }: CompareHooks = {}): Promise<CompareResult> {
  const settings = resolveOptions(COMPARE_OPTIONS, options);
  const methods = [...new Set(settings.methods)] as Method[];
  const rates = [...new Set(settings.learningRates)];
  const takeBack = settings.out === undefined ? undefined : createOutputDirectory(settings.out, settings.overwrite ? 'allow' : 'refuse');
  const made = new Date().toISOString();
  const work = mkdtempSync(join(tmpdir(), 'lors-compare-'));
  try {
    const data = heldOut(settings.data, work, settings.separator, 'valid');
    const model = settings.prune === undefined ? settings.model : await pruned(settings, data, join(work, 'pruned'));
    const before = await perplexityBefore(settings, model, data);
    const runs: MethodRun[] = [];
    const kept = new Map<Method, Kept>();
    for (const learningRate of rates) {
      const outs = new Map(methods.map((method) => [method, join(work, `${method}-${learningRate}`)]));
      const plans = new Map(
        methods.map((method) => [method, { ...runOptions(settings, method), learningRate, model, data, out: outs.get(method)! }]),
      );
      const results = await contest(plans, signal);
      for (const method of methods) {
        const result = results.get(method)!;
        const run: MethodRun =
          result instanceof Error
            ? { method, learningRate, diverged: result.message }
            : { method, learningRate, perplexity: result.curve.at(-1)!.perplexity };
        runs.push(run);
        onEvent?.({ event: 'run', ...run });
        const best = kept.get(method);
        const out = outs.get(method)!;
        const wins = better(best, result);
        if (wins) kept.set(method, { learningRate, out, result: result as RunResult });
        // Only the best of each method is looked at again, and a model's worth of files a run adds up.
        const done = wins ? best?.out : out;
        if (done !== undefined) rmSync(done, { recursive: true, force: true });
      }
    }
    const ends = [...kept.values()].map(({ result }) => result.curve.at(-1)!.perplexity);
    const target = settings.target ?? Math.max(...ends);
    const base = loadModel(model, undefined, kernelModule(settings.kernels).flavour);
    const rows = methods.map((method) => rowOf(method, kept.get(method), { base, before, target, settings }));
    const report: CompareReport = {
      schema: 'lors-compare/1',
      made,
      version: VERSION,
      host: hostOf(),
      options: { ...settings },
      iters: settings.iters,
      before,
      target: { perplexity: target, by: settings.target === undefined ? 'worst' : 'asked' },
      rows,
      runs,
    };
    return { report, files: settings.out === undefined ? [] : saveComparison(settings.out, report) };
  } finally {
    rmSync(work, { recursive: true, force: true });
    takeBack?.();
  }
}

/** Whether a result is better than the best so far. */
function better(best: Kept | undefined, result: RunResult | Error): boolean {
  if (result instanceof Error) return false;
  return best === undefined || result.curve.at(-1)!.perplexity < best.result.curve.at(-1)!.perplexity;
}

async function pruned(settings: Settings, data: string, out: string): Promise<string> {
  const { model, prune: method, separator, seed, kernels, threads, maxSeqLength } = settings;
  await prune({ ...picked(settings, OF_PRUNING), model, data, out, method: method!, separator, seed, kernels, threads, maxSeqLength });
  return out;
}

/** Of the model itself, on what every run evaluates on. */
async function perplexityBefore(settings: Settings, model: string, data: string): Promise<number> {
  const { maxSeqLength, maskPrompt, separator, kernels, threads, weights } = settings;
  const given = { maxSeqLength, maskPrompt, separator, kernels, threads, weights, model };
  return (await evaluate({ ...given, data, split: 'valid' })).perplexity;
}

/** What fine-tuning is told, beside the learning rate and the directories. */
function runOptions(settings: Settings, method: Method): Omit<Parameters<typeof finetune>[0], 'model' | 'data' | 'out'> {
  const { iters, stepsPerEval = Math.ceil(iters / 10), merge } = settings;
  const rule = method === 'full' ? undefined : ruleOf(method);
  return {
    ...picked(settings, OF_RUNS),
    method,
    stepsPerEval,
    ...{ valBatches: 0, saveEvery: 0, stepsPerReport: iters },
    // LoRS makes the merged weight again: that is what it is.
    ...(rule?.merges && method !== 'lors' && { merge }),
    ...(rule && rule.noGradientInit === undefined && picked(settings, OF_INIT)),
  };
}

function rowOf(
  method: Method,
  kept: Kept | undefined,
  { base, before, target, settings }: { base: LlamaModel; before: number; target: number; settings: Settings },
): MethodRow {
  if (!kept) return { method, curve: [] };
  const { learningRate, out, result } = kept;
  const curve = [{ step: 0, seconds: 0, perplexity: before }, ...result.curve];
  const fused = method === 'full' ? loadModel(out) : fuseAdapter(base, loadAdapter(out), kernelModule(settings.kernels).module);
  return {
    method,
    learningRate,
    perplexity: curve.at(-1)!.perplexity,
    tokensPerSecond: result.tokensPerSecond,
    ...optional('secondsToTarget', secondsTo(curve, target)),
    plannedBytes: result.start.plannedBytes,
    peakBytes: result.peakBytes,
    trainableParameters: result.start.trainableParameters,
    ...optional('zerosKept', zerosKept(base, fused)),
    curve,
  };
}

function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V };
}
