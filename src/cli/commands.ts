/** What each command runs and how it tells its result. Options were parsed, but the tasks themselves check them. */
import { bench, compareResults } from '../bench/bench.ts';
import type { CompareEvent } from '../bench/methods/compare.ts';
import { compare } from '../bench/methods/compare.ts';
import { evaluate } from '../tasks/evaluate.ts';
import { finetune } from '../tasks/finetune.ts';
import { fuse } from '../tasks/fuse.ts';
import { generate } from '../tasks/generate.ts';
import { inspect, inspectModel } from '../tasks/inspect.ts';
import type { LlamaModel } from '../models/model.ts';
import { prune } from '../tasks/prune.ts';
import { quantize } from '../tasks/quantize.ts';
import { search } from '../tasks/search.ts';
import { describeModel } from './describe.ts';
import { describeCompared, describeRun } from './describeCompare.ts';
import { describeBench, describeBenchEvent, describeComparison } from './describeBench.ts';
import type { Reporter } from './report.ts';

/** Given options: resolveOptions refuses what does not belong to the task's table. */
type Options = Record<string, unknown>;

const INTERRUPTED = 130;

export async function runFinetune(given: Options, reporter: Reporter): Promise<void> {
  const { signal } = untilInterrupted();
  try {
    const { interrupted } = await finetune(given as unknown as Parameters<typeof finetune>[0], {
      onEvent: reporter.event,
      signal,
    });
    if (interrupted) process.exitCode = INTERRUPTED;
  } finally {
    reporter.close();
  }
}

export async function runPrune(given: Options, reporter: Reporter): Promise<void> {
  const model = await prune(given as unknown as Parameters<typeof prune>[0], reporter.event);
  tellModel(model, given, reporter);
}

export function runFuse(given: Options, reporter: Reporter): void {
  tellModel(fuse(given as unknown as Parameters<typeof fuse>[0]), given, reporter);
}

export function runQuantize(given: Options, reporter: Reporter): void {
  tellModel(quantize(given as unknown as Parameters<typeof quantize>[0]), given, reporter);
}

export async function runSearch(given: Options, reporter: Reporter): Promise<void> {
  const { loss, perplexity, tokens } = await search(given as unknown as Parameters<typeof search>[0], ({ turn, loss: tried, best }) =>
    reporter.result({ event: 'search', turn, loss: tried, best }, `turn ${turn}  loss ${tried.toFixed(4)}  best ${best.toFixed(4)}\n`),
  );
  const text = `perplexity ${perplexity.toFixed(4)}  loss ${loss.toFixed(6)}  tokens ${tokens}; saved in ${String(given['out'])}\n`;
  reporter.result({ event: 'result', out: given['out'], loss, perplexity, tokens }, text);
}

function tellModel(model: LlamaModel, given: Options, reporter: Reporter): void {
  const { parameters, projectionDensity, keptInProjections } = inspectModel(model);
  const text = `${(projectionDensity * 100).toFixed(2)} % of the projections' weights are not zero; saved in ${String(given['out'])}\n`;
  reporter.result({ event: 'result', out: given['out'], parameters, keptInProjections, projectionDensity }, text);
}

export async function runEvaluate(given: Options, reporter: Reporter): Promise<void> {
  const { loss, perplexity, tokens, kernels, threads } = await evaluate(given as unknown as Parameters<typeof evaluate>[0]);
  reporter.result(
    { event: 'result', loss, perplexity, tokens, kernels, threads },
    `perplexity ${perplexity.toFixed(4)}  loss ${loss.toFixed(6)}  tokens ${tokens}  (${kernels} kernels, ${threads} ${threads === 1 ? 'thread' : 'threads'})\n`,
  );
}

export async function runGenerate(given: Options, reporter: Reporter): Promise<void> {
  const prompt = String(given['prompt']);
  let text = '';
  const say = (piece: string): void => {
    reporter.piece(piece);
    text += piece;
  };
  // The prompt comes with the first piece: what cannot begin says only why.
  for await (const piece of generate(given as unknown as Parameters<typeof generate>[0])) {
    if (text === '') say(prompt);
    say(piece);
  }
  if (text === '') say(prompt);
  reporter.result({ event: 'result', text }, '\n');
}

export function runInspect(given: Options, reporter: Reporter): void {
  const report = inspect(given as unknown as Parameters<typeof inspect>[0]);
  reporter.result(report, describeModel(report));
}

export async function runBench(given: Options, reporter: Reporter): Promise<void> {
  const { compare } = given;
  if (compare !== undefined) {
    const comparison = compareResults(compare as readonly string[]);
    reporter.result({ event: 'result', ...comparison }, describeComparison(comparison));
    return;
  }
  const { report, files } = await bench(given, (event) => reporter.result(event, describeBenchEvent(event)));
  reporter.result({ event: 'result', ...report, files }, describeBench(report, files));
}

export async function runCompare(given: Options, reporter: Reporter): Promise<void> {
  const { signal, interrupted } = untilInterrupted();
  const onEvent = (run: CompareEvent): void => reporter.result(run, describeRun(run));
  try {
    const { report, files } = await compare(given as unknown as Parameters<typeof compare>[0], { onEvent, signal });
    reporter.result({ event: 'result', ...report, files }, describeCompared(report, files));
  } catch (error) {
    if (!interrupted()) throw error;
    process.exitCode = INTERRUPTED;
  }
}

/** The first Ctrl-C ends what runs in order; the second one kills. */
function untilInterrupted(): { readonly signal: AbortSignal; readonly interrupted: () => boolean } {
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  process.once('SIGTERM', () => abort.abort());
  return { signal: abort.signal, interrupted: () => abort.signal.aborted };
}
