/** What a report found, in words: computed from its rows, noise said. */
import { breakEven, comparable, curves, family, grouped, setting } from './curves.ts';
import { qualityName } from './quality.ts';
import { counted, duration, listed, median, number, percent, times } from './format.ts';
import { isUnsure } from '../noise.ts';
import type { BenchReport, BenchRow } from '../types.ts';

/** What an op is called in a sentence. */
const TASKS: Readonly<Record<BenchRow['op'], string>> = {
  step: 'a training step',
  spmm: 'the product W x',
  spmmT: 'the product with the transpose, Wᵀ y',
  merge: 'the masked merge of an adapter',
  sddmm: 'the sampled product of a weight gradient',
};

/** `a training step (step)`. */
export function task(op: BenchRow['op']): string {
  return `${TASKS[op]} (${op})`;
}

/** The op that the question is about: a training step where it was measured, otherwise the product. */
export function mainOp(rows: readonly BenchRow[]): BenchRow['op'] | undefined {
  return (['step', 'spmm'] as const).find((op) => comparable(rows).some((row) => row.op === op)) ?? comparable(rows)[0]?.op ?? rows[0]?.op;
}

/** The break-even density of a family over the settings of one op. */
export interface FamilyBreakEven {
  readonly family: string;
  /** Densities where it was reached, one a setting, ascending. */
  readonly at: readonly number[];
  /** Settings in which sparse is faster at every density that was measured, and in none. */
  readonly always: number;
  readonly never: number;
  /** Settings in which only what is denser than the crossing is faster. */
  readonly above: number;
  readonly least: number;
  readonly most: number;
}

/** The break-even densities of each family of one op, each setting (shape, tokens, threads, flavour) by itself. */
export function breakEvens(rows: readonly BenchRow[]): FamilyBreakEven[] {
  return [...grouped(comparable(rows), ({ pattern }) => family(pattern))].map(([name, members]) => {
    const found = [...grouped(members, setting).values()].map((same) =>
      breakEven(same.map(({ density, overDense }) => ({ density, speedUp: overDense! }))),
    );
    const densities = members.map(({ density }) => density);
    return {
      family: name,
      at: found.flatMap((f) => (f.kind === 'at' && f.pays === 'below' ? [f.density] : [])).sort((a, b) => a - b),
      always: found.filter(({ kind }) => kind === 'always').length,
      never: found.filter(({ kind }) => kind === 'never').length,
      above: found.filter((f) => f.kind === 'at' && f.pays === 'above').length,
      least: Math.min(...densities),
      most: Math.max(...densities),
    };
  });
}

/** `faster at or below 41 % to 48 % kept`, and where that does not hold in every setting, in how many. */
export function describeBreakEven({ at, always, never, above, least, most }: FamilyBreakEven): string {
  const settings = at.length + always + never + above;
  const single = percent(least) === percent(most);
  const range = single ? percent(least) : `${percent(least)} to ${percent(most)}`;
  const crossing = at.length > 1 && percent(at[0]) !== percent(at.at(-1)) ? `${percent(at[0])} to ${percent(at.at(-1))}` : percent(at[0]);
  const parts = [
    ...(at.length > 0 ? [{ count: at.length, text: `breaks even at ${crossing} kept` }] : []),
    ...(always > 0
      ? [{ count: always, text: single ? `is faster at ${range} kept` : `is faster at every density measured (${range})` }]
      : []),
    ...(never > 0 ? [{ count: never, text: single ? `is slower at ${range} kept` : `never breaks even (${range} measured)` }] : []),
    ...(above > 0 ? [{ count: above, text: 'is faster only at its denser end' }] : []),
  ];
  if (parts.length === 1) return parts[0]!.text;
  return listed(parts.map(({ count, text }) => `${text} in ${count} of ${settings} settings`));
}

/** Where a row was measured: `2048x2048, 512 tokens, 1 thread, relaxed`. */
export function where({ shape, tokens, threads, flavour }: BenchRow): string {
  return `${shape}, ${counted(tokens, 'token')}, ${counted(threads, 'thread')}, ${flavour}`;
}

/** The findings, a sentence or a few each, the answer first. */
export function findings(report: Pick<BenchReport, 'rows' | 'quality'>): string[] {
  const { rows, quality } = report;
  const op = mainOp(rows);
  const all = rows.filter((row) => row.op === op);
  const one = comparable(all);
  return [
    ...(rows.length === 0 ? ['No kernel was measured.'] : []),
    ...(rows.length > 0 && one.length === 0 ? ['Nothing was compared with our dense kernels, so no break-even is known.'] : []),
    ...(op && one.length > 0 ? [fastest(op, all), breakEvenSentence(op, all)] : []),
    ...(rows.length > 0 ? [noise(rows)] : []),
    ...(quality && quality.rows.length > 0 ? [qualityFinding(quality)] : []),
  ];
}

function fastest(op: BenchRow['op'], rows: readonly BenchRow[]): string {
  const best = curves(rows)
    .flatMap(({ points }) => points)
    .reduce((a, b) => (b.speedUp > a.speedUp ? b : a));
  const one = comparable(rows).find(({ pattern }) => pattern === best.pattern)!;
  const over = best.settings === 1 ? where(one) : `median of ${best.settings} settings, ${times(best.low)} to ${times(best.high)}`;
  const figure = `${times(best.speedUp)} the speed of dense (${over})`;
  const pattern = `${best.pattern}, which keeps ${percent(best.density)} of the weights,`;
  if (best.speedUp < 1) return `Nothing makes ${TASKS[op]} faster than dense; ${pattern} comes closest with ${figure}.`;
  return `${pattern} makes ${TASKS[op]} fastest: ${figure}.`;
}

function breakEvenSentence(op: BenchRow['op'], rows: readonly BenchRow[]): string {
  const sentences = breakEvens(rows).map((found) => `${found.family} ${describeBreakEven(found)}`);
  return `In ${TASKS[op]}, against dense: ${sentences.join('; ')}.`;
}

function noise(rows: readonly BenchRow[]): string {
  const wide = rows.filter((row) => row.noisy).length;
  const times = wide === 0 ? '' : ` The times of ${counted(wide, 'row')} spread by more than a tenth.`;
  const noisy = rows.filter(isUnsure);
  if (noisy.length === 0) return `No row is noisy: the rounds of each agree about its speed-up.${times}`;
  const patterns = [...new Set(noisy.map(({ op, pattern }) => `${op} ${pattern}`))];
  const named = patterns.length <= 6 ? ` (${listed(patterns)})` : '';
  const left =
    noisy.length === rows.length ? 'so all figures here are to be taken with care' : 'hollow in the plots and left out of these sentences';
  return `${noisy.length} of ${counted(rows.length, 'row')} ${noisy.length === 1 ? 'is' : 'are'} noisy${named}: the rounds disagree about the speed-up, ${left}.${times}`;
}

function qualityFinding({ densePerplexity, rows, iters }: NonNullable<BenchReport['quality']>): string {
  const best = rows.reduce((a, b) => (b.after < a.after ? b : a));
  const quickest = rows.reduce((a, b) => (b.stepSeconds < a.stepSeconds ? b : a));
  const front = rows.filter(({ pareto }) => pareto);
  const line = (row: typeof best): string =>
    `${qualityName(row)} (perplexity ${number(row.before)} pruned, ${number(row.after)} after ${counted(iters, 'step')}; ${duration(row.stepSeconds)} a step)`;
  const both = best === quickest ? `Best and fastest is ${line(best)}` : `Best is ${line(best)}, fastest ${line(quickest)}`;
  return `Quality: dense has perplexity ${number(densePerplexity)}. ${both}. ${counted(front.length, 'choice')} of ${rows.length} ${front.length === 1 ? 'is' : 'are'} on the Pareto front.`;
}

/** The speed-ups of one pattern in one op, over its settings. */
export interface SpeedUp {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Summary {
  readonly ops: readonly BenchRow['op'][];
  readonly patterns: readonly { readonly pattern: string; readonly density: number; readonly byOp: readonly (SpeedUp | undefined)[] }[];
}

/** Patterns by ops: what each pattern gains in each op, noisy rows left out where there are others. */
export function summary(rows: readonly BenchRow[]): Summary {
  const sparse = comparable(rows);
  const ops = [...new Set(sparse.map(({ op }) => op))];
  const patterns = [...grouped(sparse, ({ pattern }) => pattern)].map(([pattern, members]) => ({
    pattern,
    density: median(members.map(({ density }) => density)),
    byOp: ops.map((op): SpeedUp | undefined => {
      const speedUps = members.filter((row) => row.op === op).map(({ overDense }) => overDense!);
      if (speedUps.length === 0) return undefined;
      return { median: median(speedUps), low: Math.min(...speedUps), high: Math.max(...speedUps) };
    }),
  }));
  return { ops, patterns: patterns.sort((a, b) => b.density - a.density) };
}
