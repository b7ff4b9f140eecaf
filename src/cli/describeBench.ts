/** What `lors bench` finds, for a terminal. */
import type { BenchProgress } from '../bench/bench.ts';
import type { Change, Comparison } from '../bench/compare.ts';
import { findings } from '../bench/report/findings.ts';
import { bytes, counted, duration, number, percent, times } from '../bench/report/format.ts';
import { isUnsure } from '../bench/noise.ts';
import type { BenchReport, BenchRow } from '../bench/types.ts';
import { columnsOf } from './columns.ts';

/** A measured part, as it comes. */
export function describeBenchEvent(event: BenchProgress): string {
  switch (event.event) {
    case 'limits':
      return (
        `limits, ${event.flavour}, ${counted(event.threads, 'thread')}: ${number(event.gflops)} GFLOP/s multiply-adds, ` +
        `${number(event.readGBs)} GB/s read, ${number(event.copyGBs)} GB/s copied\n`
      );
    case 'group':
      return describeGroup(event.rows, event.done, event.groups);
    case 'quality': {
      const { pattern, pruner, before, after, stepSeconds } = event;
      const name = pruner === 'none' ? pattern : `${pattern} by ${pruner}`;
      return `quality, ${name}: perplexity ${number(before)}, ${number(after)} after LoRS; ${duration(stepSeconds)} a step\n`;
    }
  }
}

function describeGroup(rows: readonly BenchRow[], done: number, groups: number): string {
  const { shape, tokens, threads, flavour } = rows[0]!;
  const peers = [...new Set(rows.flatMap(({ overPeers }) => Object.keys(overPeers ?? {})))];
  const head = ['op', 'pattern', 'format', 'kept', 'time', '+-', 'GFLOP/s', 'dense eq.', 'GB/s', 'of peak', 'x dense'];
  const lines = rows.map((row) => [
    row.op,
    row.pattern,
    row.format,
    percent(row.density),
    duration(row.seconds.median),
    `${percent((row.seconds.high - row.seconds.low) / 2 / row.seconds.median)}${row.noisy ? ' !' : '  '}`,
    number(row.gflops),
    number(row.denseGflops),
    number(row.gbs),
    percent(row.ofPeak),
    `${times(row.overDense)}${isUnsure(row) ? ' ?' : '  '}`,
    ...peers.map((peer) => times(row.overPeers?.[peer])),
    bytes(row.weightBytes),
  ]);
  const table = columnsOf([[...head, ...peers.map((peer) => `x ${peer}`), 'weight'], ...lines], 3);
  return `\n[${done}/${groups}] ${shape}, ${counted(tokens, 'token')}, ${counted(threads, 'thread')}, ${flavour}\n${table}\n`;
}

/** The findings, and where the files are. */
export function describeBench(report: BenchReport, files: readonly string[]): string {
  const noisy = report.rows.some((row) => row.noisy || isUnsure(row))
    ? '\nThe rounds disagree by more than a tenth, after more rounds too: ! about the time, ? about the speed-up over dense.\n'
    : '';
  const found = findings(report).map((sentence) => `- ${sentence}\n`);
  return `${noisy}\n${found.join('')}${files.map((path) => `saved ${path}\n`).join('')}`;
}

/** Two reports beside each other. */
export function describeComparison({ faster, slower, unchanged, onlyBefore, onlyAfter, warnings }: Comparison): string {
  const list = (name: string, changes: readonly Change[]): string =>
    changes.length === 0
      ? ''
      : `${name}:\n${columnsOf(
          changes.map((c) => [
            `  ${c.what}`,
            `${duration(c.before)} -> ${duration(c.after)}`,
            times(c.speedUp),
            `(noise ${percent(c.noise)}; ${times(c.corrected)} with the machine's change taken out)`,
          ]),
          1,
        )}\n`;
  const missing = (name: string, rows: readonly string[]): string => (rows.length === 0 ? '' : `${name}: ${rows.join('; ')}\n`);
  return [
    ...warnings.map((warning) => `careful: ${warning}\n`),
    list('faster', faster),
    list('slower', slower),
    `${counted(unchanged, 'row')} the same within noise\n`,
    missing('only before', onlyBefore),
    missing('only now', onlyAfter),
  ].join('');
}
