/** What `lors compare` finds, for a terminal. */
import type { CompareEvent } from '../bench/methods/compare.ts';
import { columnsOf, methodFindings } from '../bench/methods/table.ts';
import type { CompareReport } from '../bench/methods/types.ts';
import { columnsOf as aligned } from './columns.ts';

/** A run, as it comes to its end. */
export function describeRun({ method, learningRate, perplexity, diverged }: CompareEvent): string {
  return `${method} at ${learningRate}: ${perplexity === undefined ? `diverged: ${diverged}` : `perplexity ${perplexity.toFixed(3)}`}\n`;
}

/** The table, the findings, and where the files are. */
export function describeCompared(report: CompareReport, files: readonly string[]): string {
  const columns = columnsOf(report);
  const lines = [columns.map(({ name }) => name), ...report.rows.map((row) => columns.map(({ text }) => text(row)))];
  const found = methodFindings(report).map((sentence) => `- ${sentence}\n`);
  return `\n${aligned(lines, 1)}\n\n${found.join('')}${files.map((path) => `saved ${path}\n`).join('')}`;
}
