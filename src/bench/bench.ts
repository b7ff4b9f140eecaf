/** The job of `lors bench`: from options to a report and its files. */
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explain } from '../core/errors.ts';
import type { Given, Resolved } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { readJson } from '../io/json.ts';
import { kernelModule } from '../io/kernelModule.ts';
import { VERSION } from '../core/version.ts';
import { probeFlavour } from '../kernels/load.ts';
import type { Flavour } from '../core/flavour.ts';
import { parseConfig } from '../models/config.ts';
import { PRUNERS } from '../prune/rule.ts';
import { localSessions } from '../runtime/local.ts';
import { pooledSessions } from '../threads/pool.ts';
import type { Comparison } from './compare.ts';
import { compareReports } from './compare.ts';
import { hostOf } from './host.ts';
import { BENCH_OPTIONS, DEFAULTS } from './options.ts';
import { checkFits, parsePatterns } from './patterns.ts';
import { ortWeb } from './peers/ort.ts';
import type { Peer } from './peers/peer.ts';
import { tfjsWasm } from './peers/tfjs.ts';
import { torch } from './peers/torch.ts';
import { measureQuality } from './quality.ts';
import { ROUNDS } from './quick.ts';
import { SCHEMA, loadResults, prepareResults, saveResults } from './results.ts';
import type { BenchEvent, BenchPlan } from './run.ts';
import { runBench } from './run.ts';
import type { Shape } from './shapes.ts';
import { matricesOf, parseMatrix, uniqueShapes } from './shapes.ts';
import type { BenchReport, QualityReport, QualityRow } from './types.ts';
import { OPS } from './work.ts';

type Settings = Resolved<typeof BENCH_OPTIONS>;

export type BenchProgress = BenchEvent | ({ readonly event: 'quality' } & QualityRow);

export interface BenchResult {
  readonly report: BenchReport;
  /** What was written. */
  readonly files: readonly string[];
}

/**
 * Measures: kernels over patterns, shapes, tokens, threads and flavours, and a model's quality where it is asked for. Every result
 * is checked before it is timed.
 *
 * Throws RangeError or TypeError for options, FormatError or UnsupportedError for files and for peers that are not there,
 * OutputError where `out` cannot be written, MemoryBudgetError where a shape is too large, WrongResult where a kernel is wrong.
 */
export async function bench(
  options: Given<typeof BENCH_OPTIONS>,
  onEvent: (event: BenchProgress) => void = () => undefined,
): Promise<BenchResult> {
  const settings = resolveOptions(BENCH_OPTIONS, options);
  const plan = planOf(settings);
  const quality = settings.quality ? qualityPlanOf(settings, plan) : undefined;
  const takeBack = settings.out === undefined ? undefined : prepareResults(settings.out, settings.overwrite);
  const peers: Peer[] = [];
  try {
    for (const name of settings.against ?? []) peers.push(await peerOf(name, settings.python));
    const made = new Date().toISOString();
    // The longest work comes first, and with it all that can be wrong with a model and its data.
    const found: QualityReport | undefined = quality && (await measureQuality(quality, (row) => onEvent({ event: 'quality', ...row })));
    const measured = await runBench(plan, { sessions: sessionsOf, peers }, onEvent);
    const report: BenchReport = {
      schema: SCHEMA,
      made,
      version: VERSION,
      host: hostOf(),
      options: { ...options, peers: Object.fromEntries(peers.map(({ name, version }) => [name, version])) },
      ...measured,
      ...(found && { quality: found }),
    };
    return { report, files: settings.out === undefined ? [] : saveResults(settings.out, report) };
  } finally {
    for (const peer of peers) peer.end();
    takeBack?.();
  }
}

/** What changed from one results.json to another. Throws FormatError. */
export function compareResults(paths: readonly string[]): Comparison {
  const [a, b] = paths;
  if (a === undefined || b === undefined || paths.length > 2) {
    throw new RangeError(explain('--compare', 'two results.json', `${paths.length}`));
  }
  return compareReports(loadResults(a), loadResults(b));
}

function planOf(settings: Settings): BenchPlan {
  const defaults = settings.quick ? DEFAULTS.quick : DEFAULTS.full;
  const cores = availableParallelism();
  // What compiling the wide kernels does to V8 must not be there yet when the others are compiled and timed.
  const flavours = [...(settings.flavours ?? flavoursHere(settings.quick || settings.quality))].sort(
    (a, b) => Number(a === 'wide') - Number(b === 'wide'),
  );
  const ofModel = settings.quality && settings.shapes === undefined;
  const patterns = parsePatterns(settings.patterns ?? defaults.patterns);
  const shapes = uniqueShapes(
    ofModel ? shapesOfModel(required(settings.model, '--model')) : (settings.shapes ?? defaults.shapes).flatMap(shapesNamed),
  );
  for (const pattern of patterns) for (const shape of shapes) checkFits(pattern, shape);
  return {
    patterns,
    ops: OPS.filter((op) => (settings.ops ?? (settings.quality ? DEFAULTS.quick.ops : defaults.ops)).includes(op)),
    shapes,
    tokens: unique(settings.tokens ?? (settings.quality ? [settings.batchSize * settings.maxSeqLength] : defaults.tokens)),
    threads: unique(settings.threads ?? (settings.quick ? [1] : settings.quality ? [cores] : [1, cores])),
    flavours: unique(flavours),
    rank: settings.rank,
    effort: { seconds: settings.seconds ?? defaults.seconds, ...ROUNDS },
  };
}

function qualityPlanOf(settings: Settings, plan: BenchPlan): Parameters<typeof measureQuality>[0] {
  const { iters, batchSize, maxSeqLength, learningRate, rank, separator, seed } = settings;
  const pruners = PRUNERS.filter((pruner) => settings.pruners.includes(pruner));
  return {
    model: required(settings.model, '--model'),
    data: required(settings.data, '--data'),
    patterns: plan.patterns,
    pruners,
    threads: Math.max(...plan.threads),
    kernels: plan.flavours[0] as Flavour,
    ...{ iters, batchSize, maxSeqLength, learningRate, rank, separator, seed },
  };
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined) throw new RangeError(`${flag}: expected one with --quality, got none.`);
  return value;
}

/** The flavours that need no flag, or only the fastest of them. */
function flavoursHere(fastest: boolean): Flavour[] {
  const best = probeFlavour();
  return fastest || best === 'plain' ? [best] : ['plain', best];
}

/** Models by the names that people know them by; bench/shapes ships with the package. */
const MODELS: Readonly<Record<string, string>> = {
  'smollm-135m': '135m',
  '15m': '15m',
  'llama-3.2-1b': '1b',
  'llama-2-7b': '7b',
};

function shapesNamed(name: string): Shape[] {
  const matrix = parseMatrix(name);
  if (matrix) return [matrix];
  const file = MODELS[name];
  if (file !== undefined) return shapesOfConfig(fileURLToPath(new URL(`../../bench/shapes/${file}.json`, import.meta.url)));
  if (name.endsWith('.json')) return shapesOfConfig(name);
  throw new RangeError(
    explain('--shapes', `${Object.keys(MODELS).join(', ')}, a config.json or a matrix such as 1536x576 (outputs x inputs)`, name),
  );
}

function shapesOfModel(directory: string): Shape[] {
  return shapesOfConfig(`${directory}/config.json`);
}

function shapesOfConfig(path: string): Shape[] {
  return matricesOf(parseConfig(readJson(path), basename(path)));
}

function sessionsOf(flavour: string, threads: number): ReturnType<typeof localSessions> {
  const chosen = flavour as Flavour;
  if (threads === 1) return localSessions({ module: kernelModule(chosen).module });
  return pooledSessions({ module: kernelModule(chosen, true).module, threads });
}

function peerOf(name: string, python: string): Promise<Peer> {
  if (name === 'torch') return torch(python);
  return name === 'ort-web' ? ortWeb() : tfjsWasm();
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
