/** What changed between two reports beyond noise. */
import { counted } from './report/format.ts';
import type { BenchReport, BenchRow } from './types.ts';

export interface Change {
  /** `spmm 2:4 1536x576, 512 tokens, 1 thread, relaxed` */
  readonly what: string;
  /** Median seconds before and after. */
  readonly before: number;
  readonly after: number;
  /** before / after: above 1 is faster now. */
  readonly speedUp: number;
  /** The same with the change of the machine's own measured limits taken out. */
  readonly corrected: number;
  /** Changes of the ratio up to this (as a share) are noise. */
  readonly noise: number;
}

export interface Comparison {
  /** By how much, the largest first. */
  readonly faster: readonly Change[];
  readonly slower: readonly Change[];
  readonly unchanged: number;
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** What makes the two hard to compare: other machines, runtimes, limits. */
  readonly warnings: readonly string[];
}

/**
 * Medians differ between two runs of the same code on the same machine by a few percent whatever their spread: code and data stand
 * at other addresses.
 */
const LEAST = 0.05;

/**
 * A row has changed where its ratio is off 1 by more than the noise of both medians, with the machine's own change taken out and
 * without. The noise of a median is 1.57 times the distance of the quartiles over the square root of the number of rounds: where two
 * such intervals do not overlap, medians differ at about the 95 % level (McGill, Tukey and Larsen 1978, Variations of box plots).
 */
export function compareReports(a: BenchReport, b: BenchReport): Comparison {
  const [before, after] = [byKey(a.rows), byKey(b.rows)];
  const changes: Change[] = [];
  let unchanged = 0;
  for (const [what, old] of before) {
    const now = after.get(what);
    if (!now) continue;
    const speedUp = old.seconds.median / now.seconds.median;
    const corrected = speedUp / drift(a, b, now);
    const noise = LEAST + medianNoise(old) + medianNoise(now);
    const beyond = (ratio: number): number => (Math.abs(Math.log(ratio)) > Math.log1p(noise) ? Math.sign(Math.log(ratio)) : 0);
    if (beyond(speedUp) === 0 || beyond(speedUp) !== beyond(corrected)) unchanged++;
    else changes.push({ what, before: old.seconds.median, after: now.seconds.median, speedUp, corrected, noise });
  }
  return {
    faster: changes.filter(({ speedUp }) => speedUp > 1).sort((x, y) => y.speedUp - x.speedUp),
    slower: changes.filter(({ speedUp }) => speedUp < 1).sort((x, y) => x.speedUp - y.speedUp),
    unchanged,
    onlyBefore: [...before.keys()].filter((what) => !after.has(what)),
    onlyAfter: [...after.keys()].filter((what) => !before.has(what)),
    warnings: warningsOf(a, b),
  };
}

function byKey(rows: readonly BenchRow[]): Map<string, BenchRow> {
  return new Map(
    rows.map((row) => {
      const { op, pattern, shape, tokens, threads, flavour } = row;
      return [`${op} ${pattern} ${shape}, ${counted(tokens, 'token')}, ${counted(threads, 'thread')}, ${flavour}`, row];
    }),
  );
}

function medianNoise({ seconds: { median, low, high, rounds } }: BenchRow): number {
  return (1.57 * (high - low)) / Math.sqrt(rounds) / median;
}

/** By how much faster the machine itself was in b: its peak, measured in the same run. */
function drift(a: BenchReport, b: BenchReport, { flavour, threads }: BenchRow): number {
  const peak = (report: BenchReport): number | undefined =>
    report.limits.find((limit) => limit.flavour === flavour && limit.threads === threads)?.gflops;
  return (peak(b) ?? 1) / (peak(a) ?? peak(b) ?? 1);
}

function warningsOf(a: BenchReport, b: BenchReport): string[] {
  const warnings: string[] = [];
  for (const field of ['cpu', 'cores', 'runtime', 'os'] as const) {
    if (a.host[field] !== b.host[field]) warnings.push(`another ${field}: ${a.host[field]} before, ${b.host[field]} now`);
  }
  for (const limit of b.limits) {
    const old = a.limits.find(({ flavour, threads }) => flavour === limit.flavour && threads === limit.threads);
    if (old && Math.abs(Math.log(limit.gflops / old.gflops)) > Math.log1p(LEAST)) {
      warnings.push(
        `the machine's own peak (${limit.flavour}, ${counted(limit.threads, 'thread')}) was ${old.gflops.toFixed(1)} GFLOP/s before and is ${limit.gflops.toFixed(1)} now`,
      );
    }
  }
  return warnings;
}
