/** Rows as CSV (RFC 4180), one line each, names of the columns first. */
import type { BenchRow } from './types.ts';

export function csvOf(rows: readonly BenchRow[]): string {
  const peers = [...new Set(rows.flatMap(({ overPeers }) => Object.keys(overPeers ?? {})))];
  const flat = rows.map(({ seconds, overPeers, overDenseSpread, ...row }) => ({
    ...row,
    ...(overDenseSpread && { overDenseLow: overDenseSpread.low, overDenseHigh: overDenseSpread.high }),
    medianSeconds: seconds.median,
    lowSeconds: seconds.low,
    highSeconds: seconds.high,
    rounds: seconds.rounds,
    ...Object.fromEntries(peers.map((peer) => [`over ${peer}`, overPeers?.[peer] ?? ''])),
  }));
  const columns = [...new Set(flat.flatMap((row) => Object.keys(row)))];
  const lines = flat.map((row) => columns.map((name) => (row as Readonly<Record<string, unknown>>)[name] ?? ''));
  return [columns, ...lines].map((line) => `${line.map(quoted).join(',')}\r\n`).join('');
}

function quoted(value: unknown): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
