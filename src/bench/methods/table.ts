/** What a comparison says: one line a method, for terminals and pages alike, and findings in words. */
import { bytes, duration, listed, number, percent } from '../report/format.ts';
import type { CompareReport, MethodRow } from './types.ts';

export interface Column {
  readonly name: string;
  readonly about: string;
  readonly text: (row: MethodRow) => string;
}

/** The columns of a comparison. */
export function columnsOf({ before, target, iters }: CompareReport): readonly Column[] {
  const asked = target.by === 'asked' ? 'as asked' : 'what the worst kept run ends at';
  return [
    { name: 'method', about: 'what trained', text: ({ method }) => method },
    {
      name: 'best rate',
      about: 'the learning rate that ended lowest',
      text: (row) => (row.learningRate === undefined ? 'diverged' : String(row.learningRate)),
    },
    { name: 'perplexity before', about: 'held out, of the model itself', text: () => number(before) },
    { name: 'after', about: `held out, after ${iters} updates`, text: (row) => fine(row.perplexity) },
    { name: 'tokens/s', about: 'by the median update of its own process', text: (row) => number(row.tokensPerSecond) },
    {
      name: `time to ${fine(target.perplexity)}`,
      about: `training alone, until the held-out perplexity is ${fine(target.perplexity)} (${asked}), by a line between evaluations`,
      text: (row) => (row.secondsToTarget === undefined ? 'not reached' : duration(row.secondsToTarget)),
    },
    {
      name: 'planned',
      about: 'highest resident set of its process, as planned before the first update',
      text: (row) => size(row.plannedBytes),
    },
    { name: 'measured', about: 'highest resident set of its process, until the last update', text: (row) => size(row.peakBytes) },
    { name: 'trainable', about: 'trained parameters', text: (row) => row.trainableParameters?.toLocaleString('en') ?? '–' },
    {
      name: 'zeros kept',
      about: 'share of the pruned weights that are zero after fusing',
      text: (row) => (row.zerosKept === undefined ? '–' : share(row.zerosKept)),
    },
  ];
}

/** Enough digits to tell runs apart. */
function fine(perplexity: number | undefined): string {
  return perplexity === undefined ? '–' : perplexity >= 1000 ? number(perplexity) : perplexity.toPrecision(4);
}

function size(count: number | undefined): string {
  return count === undefined ? '–' : bytes(count);
}

/** Only all of them are all of them. */
function share(kept: number): string {
  if (kept === 1) return 'all';
  return kept > 0.99 ? '> 99 %' : percent(kept);
}

/** A run of a method that has come to its end. */
type Ended = Required<Omit<MethodRow, 'zerosKept' | 'secondsToTarget'>> & MethodRow;

function ended(row: MethodRow): row is Ended {
  return row.learningRate !== undefined;
}

/** Who is best at what, in words; methods that share a figure share the sentence. */
export function methodFindings({ rows, target, runs, iters }: CompareReport): string[] {
  const all = rows.filter(ended);
  const keeping = all.filter(({ zerosKept }) => zerosKept === undefined || zerosKept === 1);
  /** Who has the least, and the verb after them. */
  const best = (of: readonly Ended[], value: (row: Ended) => number | undefined, verb: string): string => {
    const values = of.map((row) => value(row) ?? Infinity);
    const least = Math.min(...values);
    const names = of.filter((_, i) => values[i] === least).map(({ method }) => method);
    return `${listed(names)} ${verb}${names.length === 1 ? 's' : ''}`;
  };
  const found: string[] = [];
  if (keeping.length > 0) {
    const lowest = Math.min(...keeping.map(({ perplexity }) => perplexity));
    found.push(
      `Of the methods that keep every zero, ${best(keeping, (r) => r.perplexity, 'end')} lowest, at ${fine(lowest)} after ${iters} updates.`,
    );
    const timed = keeping.filter(({ secondsToTarget }) => secondsToTarget !== undefined);
    if (timed.length > 0) {
      const least = Math.min(...timed.map((r) => r.secondsToTarget!));
      found.push(
        `${best(timed, (r) => r.secondsToTarget, 'come')} down to ${fine(target.perplexity)} first, in ${duration(least)} of training.`,
      );
    }
    found.push(
      `${best(keeping, (r) => -r.tokensPerSecond, 'train')} the most tokens a second; ${best(keeping, (r) => r.peakBytes, 'take')} the least memory.`,
    );
  }
  const losing = all.filter((row) => !keeping.includes(row));
  if (losing.length > 0) {
    found.push(
      `${losing.map(({ method, zerosKept }) => `${method} keeps ${share(zerosKept!)} of the zeros`).join('; ')}: what comes out is not sparse.`,
    );
  }
  const diverged = runs.filter((run) => run.diverged !== undefined).map(({ method, learningRate }) => `${method} at ${learningRate}`);
  if (diverged.length > 0) found.push(`Diverged: ${listed(diverged)}.`);
  return found;
}
