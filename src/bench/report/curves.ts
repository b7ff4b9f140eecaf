/** Speed-up against density: patterns as curves, and where a curve crosses the speed of dense. */
import { isUnsure } from '../noise.ts';
import { median } from './format.ts';
import type { BenchRow } from '../types.ts';

/**
 * The curve that a pattern is a point of: patterns that differ only in how much they keep. `2:4` and `1:4` are `N:4`,
 * `csr50` and `csr90` are `csr`, `block4x4-50` is `block4x4`; a name without a share is its own.
 */
export function family(pattern: string): string {
  const nm = /^\d+:(\d+)$/.exec(pattern);
  if (nm) return `N:${nm[1]!}`;
  const share = /^(.*?)[\s:@_-]*\d+(?:\.\d+)?\s*%?$/.exec(pattern);
  // In block4x4 the last number is a size.
  if (!share || /\dx$/.test(share[1]!)) return pattern;
  return share[1] === '' ? 'unstructured' : share[1]!;
}

/** All families of the rows but dense, in the order of their first row: a family keeps its colour whatever is selected. */
export function families(rows: readonly { readonly pattern: string }[]): string[] {
  return unique(rows.map(({ pattern }) => family(pattern))).filter((name) => name !== 'dense');
}

/** Each value once, in the order of its first. */
export function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** The rows by a key, in the order of their first. */
export function grouped<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group) group.push(value);
    else groups.set(key(value), [value]);
  }
  return groups;
}

/** What rows must share for their speeds to be comparable. */
export function setting(row: BenchRow): string {
  return JSON.stringify([row.op, row.shape, row.tokens, row.threads, row.flavour]);
}

export interface CurvePoint {
  readonly pattern: string;
  /** Kept / all, the median over the settings. */
  readonly density: number;
  /** Time of our dense / time, the median over the settings. */
  readonly speedUp: number;
  readonly low: number;
  readonly high: number;
  readonly settings: number;
}

export interface Curve {
  readonly family: string;
  /** From sparse to dense. */
  readonly points: readonly CurvePoint[];
}

/** The rows that have a speed-up over dense; those whose rounds disagree about it only where there are no others. */
export function comparable(rows: readonly BenchRow[]): BenchRow[] {
  const all = rows.filter(
    ({ overDense, pattern, density }) => pattern !== 'dense' && density > 0 && overDense !== undefined && overDense > 0,
  );
  const sure = all.filter((row) => !isUnsure(row));
  return sure.length > 0 ? sure : all;
}

/** One curve a family over all settings of the rows, which should be of one op. */
export function curves(rows: readonly BenchRow[]): Curve[] {
  return [...grouped(comparable(rows), ({ pattern }) => family(pattern))].map(([name, members]) => ({
    family: name,
    points: [...grouped(members, ({ pattern }) => pattern)]
      .map(([pattern, same]) => {
        const speedUps = same.map(({ overDense }) => overDense!);
        return {
          pattern,
          density: median(same.map(({ density }) => density)),
          speedUp: median(speedUps),
          low: Math.min(...speedUps),
          high: Math.max(...speedUps),
          settings: same.length,
        };
      })
      .sort((a, b) => a.density - b.density),
  }));
}

/** Where a curve crosses 1; `always` and `never` hold for the densities that were measured, from `least` to `most`. */
export type BreakEven =
  | { readonly kind: 'always' | 'never'; readonly least: number; readonly most: number }
  /** The greatest density at which the interpolated curve is 1; `pays` says on which side of it sparse is faster. */
  | { readonly kind: 'at'; readonly density: number; readonly pays: 'below' | 'above' };

/**
 * The break-even density of a curve: between two neighbours on either side of 1, linear in the logarithms of density and
 * speed-up, in which time proportional to the kept weights is a straight line. Nothing is extrapolated. Throws RangeError
 * without points.
 */
export function breakEven(points: readonly { readonly density: number; readonly speedUp: number }[]): BreakEven {
  const sorted = [...points].sort((a, b) => b.density - a.density);
  const first = sorted[0];
  if (!first) throw new RangeError('breakEven: expected at least one point, got none.');
  for (const [i, sparser] of sorted.entries()) {
    const denser = sorted[i - 1];
    if (!denser || denser.speedUp >= 1 === sparser.speedUp >= 1) continue;
    const [a, b] = [Math.log(denser.speedUp), Math.log(sparser.speedUp)];
    const density = denser.density * (sparser.density / denser.density) ** (a / (a - b));
    return { kind: 'at', density, pays: sparser.speedUp >= 1 ? 'below' : 'above' };
  }
  return { kind: first.speedUp >= 1 ? 'always' : 'never', least: sorted.at(-1)!.density, most: first.density };
}

export interface PeerReference {
  readonly peer: string;
  /** Time of our dense / time of the peer, the median over the settings. */
  readonly speedUp: number;
}

/** How fast each peer is beside our dense: what its line is drawn at. */
export function peerReferences(rows: readonly BenchRow[]): PeerReference[] {
  const ratios = rows.flatMap((row) => {
    const overDense = row.pattern === 'dense' ? 1 : row.overDense;
    if (overDense === undefined) return [];
    return Object.entries(row.overPeers ?? {}).map(([peer, overPeer]) => ({ peer, speedUp: overDense / overPeer }));
  });
  const usable = ratios.filter(({ speedUp }) => Number.isFinite(speedUp) && speedUp > 0);
  return [...grouped(usable, ({ peer }) => peer)].map(([peer, same]) => ({ peer, speedUp: median(same.map(({ speedUp }) => speedUp)) }));
}
