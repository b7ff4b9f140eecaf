/**
 * The roofline model: a kernel of intensity I (operations a byte) runs at most at min(peak, bandwidth x I). Williams,
 * Waterman and Patterson, "Roofline", CACM 52(4), 2009.
 */
import { counted, number, percent } from './format.ts';
import { grouped } from './curves.ts';
import type { BenchRow, Limits } from '../types.ts';

export interface Roofline {
  readonly flavour: string;
  readonly threads: number;
  /** What was measured of the machine; undefined where it was not. */
  readonly limits: Limits | undefined;
  readonly rows: readonly BenchRow[];
  /** Operations a byte, from and to: powers of two around the rows and the ridge. */
  readonly x: readonly [number, number];
  /** GFLOP/s, the same. */
  readonly y: readonly [number, number];
}

/** One roofline a flavour and number of threads; rows that a logarithm cannot show are left out. */
export function rooflines(rows: readonly BenchRow[], limits: readonly Limits[]): Roofline[] {
  const shown = rows.filter(({ intensity, gflops }) => intensity > 0 && gflops > 0 && Number.isFinite(intensity * gflops));
  return [...grouped(shown, ({ flavour, threads }) => JSON.stringify([flavour, threads])).values()].map((members) => {
    const { flavour, threads } = members[0]!;
    const limit = limits.find((l) => l.flavour === flavour && l.threads === threads && l.gflops > 0 && l.readGBs > 0);
    const intensities = members.map(({ intensity }) => intensity);
    const speeds = members.map(({ gflops }) => gflops);
    return {
      flavour,
      threads,
      limits: limit,
      rows: members,
      x: around(limit ? [...intensities, limit.gflops / limit.readGBs] : intensities),
      y: around(limit ? [...speeds, limit.gflops] : speeds),
    };
  });
}

/** Powers of two around the values, with room for labels. */
function around(values: readonly number[]): [number, number] {
  return [2 ** Math.floor(Math.log2(Math.min(...values)) - 0.3), 2 ** Math.ceil(Math.log2(Math.max(...values)) + 0.3)];
}

/** The roof from one intensity to another: up with the bandwidth to the ridge, then along the peak. In [x, y]. */
export function roof(limits: Limits, [from, to]: readonly [number, number]): [number, number][] {
  const ridge = limits.gflops / limits.readGBs;
  const at = (x: number): [number, number] => [x, Math.min(limits.gflops, limits.readGBs * x)];
  return ridge > from && ridge < to ? [at(from), [ridge, limits.gflops], at(to)] : [at(from), at(to)];
}

/** What a roofline shows, in words. */
export function describeRoofline({ flavour, threads, limits, rows }: Roofline): string {
  const machine = limits
    ? `The peak is ${number(limits.gflops)} GFLOP/s, memory is read at ${number(limits.readGBs)} GB/s; the two meet at ${number(limits.gflops / limits.readGBs)} operations a byte.`
    : 'The limits of the machine were not measured.';
  const ops = [...grouped(rows, ({ op }) => op)].map(([op, members]) => {
    const speeds = members.map(({ gflops }) => gflops);
    const best = members.reduce((a, b) => (b.gflops > a.gflops ? b : a));
    const share = limits ? ` (${percent(best.gflops / limits.gflops)} of the peak)` : '';
    return `${op}: ${counted(members.length, 'kernel')}, ${number(Math.min(...speeds))} to ${number(best.gflops)} GFLOP/s${share}, fastest with ${best.pattern}.`;
  });
  return [`Roofline of ${flavour} SIMD on ${counted(threads, 'thread')}.`, machine, ...ops].join(' ');
}
