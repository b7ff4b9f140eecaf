/** The table of all rows as data: columns, order, selection, and what is copied. */
import { bytes, duration, number, percent, times } from './format.ts';
import { unique } from './curves.ts';
import { isUnsure } from '../noise.ts';
import type { BenchRow } from '../types.ts';

type Value = string | number | undefined;

export interface Column {
  readonly name: string;
  /** What it means, in a sentence. */
  readonly about: string;
  /** What it is sorted by and what is copied, in SI units. */
  readonly value: (row: BenchRow) => Value;
  /** What is shown. */
  readonly text: (row: BenchRow) => string;
}

/** The columns for some rows: a column a peer that any of them was compared with. */
export function columns(rows: readonly BenchRow[]): Column[] {
  const peers = unique(rows.flatMap(({ overPeers }) => Object.keys(overPeers ?? {})));
  return [
    word(
      'op',
      'spmm: Y = W X; spmmT: dX = Wᵀ dY; merge: (W + up down) in the mask; sddmm: dW in the mask; step: a training step',
      (r) => r.op,
    ),
    word('pattern', 'which weights are kept', (r) => r.pattern),
    word('format', 'how the packed weight is stored', (r) => r.format),
    figure('density', 'kept / all weights', (r) => r.density, percent),
    word('shape', 'outputs x inputs, or the model', (r) => r.shape),
    figure('outputs', 'rows of W', (r) => r.rows, String),
    figure('inputs', 'columns of W', (r) => r.cols, String),
    figure('tokens', 'columns of X', (r) => r.tokens, String),
    figure('threads', 'how many work on it', (r) => r.threads, String),
    word('flavour', 'which SIMD instructions', (r) => r.flavour),
    figure('time', 'median of the rounds, in seconds', (r) => r.seconds.median, duration),
    figure('low', 'low end of the rounds, in seconds', (r) => r.seconds.low, duration),
    figure('high', 'high end of the rounds, in seconds', (r) => r.seconds.high, duration),
    figure('rounds', 'how often it was timed', (r) => r.seconds.rounds, String),
    figure('GFLOP/s', 'on kept weights', (r) => r.gflops, number),
    figure('dense GFLOP/s', 'what a dense kernel would need for the same time', (r) => r.denseGflops, number),
    figure('GB/s', 'bytes moved at least / time', (r) => r.gbs, number),
    figure('FLOP/byte', 'arithmetic intensity', (r) => r.intensity, number),
    figure('of peak', 'share of the measured peak of the machine', (r) => r.ofPeak, percent),
    figure('over dense', 'time of our dense / time, the median of the ratios of each round', (r) => r.overDense, times),
    word('noise', 'what the rounds disagree about by more than a tenth: time, speed-up or both', noiseOf),
    ...peers.map((peer) => figure(`over ${peer}`, `time of ${peer}'s dense / time`, (r) => r.overPeers?.[peer], times)),
    figure('weight', 'bytes of the packed weight', (r) => r.weightBytes, bytes),
  ];
}

function noiseOf(row: BenchRow): string {
  return [...(row.noisy ? ['time'] : []), ...(isUnsure(row) ? ['speed-up'] : [])].join(', ');
}

function word(name: string, about: string, value: (row: BenchRow) => string): Column {
  return { name, about, value, text: value };
}

function figure<V extends number | undefined>(
  name: string,
  about: string,
  value: (row: BenchRow) => V,
  text: (value: NonNullable<V>) => string,
): Column {
  return {
    name,
    about,
    value,
    text: (row) => {
      const v = value(row);
      return v === undefined ? '' : text(v);
    },
  };
}

export type Direction = 'ascending' | 'descending';

/**
 * The indices of the rows in the order of a column: numbers by size, words as people sort them (block2 before block10).
 * Rows of the same value keep their order, rows without one are last in both directions.
 */
export function sorted(rows: readonly BenchRow[], column: Column, direction: Direction): number[] {
  const values = rows.map(column.value);
  const sign = direction === 'ascending' ? 1 : -1;
  const missing = (v: Value): boolean => v === undefined || v === '' || Number.isNaN(v);
  return rows
    .map((_, i) => i)
    .sort((i, j) => {
      const [a, b] = [values[i], values[j]];
      if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b)) || i - j;
      const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
      return sign * order || i - j;
    });
}

/** What rows can be selected by. */
export const FILTERS = ['op', 'pattern', 'shape', 'tokens', 'threads', 'flavour'] as const;
export type Filter = (typeof FILTERS)[number];
export type Selection = Readonly<Partial<Record<Filter, string>>>;

/** The filters that leave a choice, with their values. */
export function choices(rows: readonly BenchRow[]): { readonly filter: Filter; readonly values: readonly string[] }[] {
  return FILTERS.map((filter) => ({ filter, values: unique(rows.map((row) => String(row[filter]))) })).filter(
    ({ values }) => values.length > 1,
  );
}

/** Whether a row is selected: it has each value that is asked for; '' asks for any. */
export function selected(row: BenchRow, selection: Selection): boolean {
  return FILTERS.every((filter) => (selection[filter] ?? '') === '' || String(row[filter]) === selection[filter]);
}

/** Rows as tab-separated values with a line of names; numbers in full. Tabs and line ends in words become spaces. */
export function tsv(rows: readonly BenchRow[], all: readonly Column[]): string {
  const cell = (value: Value): string => (typeof value === 'string' ? plain(value) : String(value ?? ''));
  const lines = [all.map(({ name }) => cell(name)), ...rows.map((row) => all.map(({ value }) => cell(value(row))))];
  return lines.map((line) => `${line.join('\t')}\n`).join('');
}

/** A word as one cell. A spreadsheet takes what begins like a formula for one: a leading ' says that it is text. */
function plain(text: string): string {
  const line = text.replaceAll(/[\t\r\n]+/g, ' ');
  return /^[=+@-]/.test(line) ? `'${line}` : line;
}
