/** Quality beside speed: the front, and what it says in words. */
import { duration, number } from './format.ts';
import type { QualityReport, QualityRow } from '../types.ts';

/** The rows of the Pareto front, from fast to slow. */
export function front({ rows }: QualityReport): QualityRow[] {
  return rows.filter(({ pareto }) => pareto).sort((a, b) => a.stepSeconds - b.stepSeconds);
}

/** What a row is called: `2:4 wanda`. */
export function qualityName({ pattern, pruner }: QualityRow): string {
  return pruner === '' || pruner === 'none' ? pattern : `${pattern} ${pruner}`;
}

/** What the plot of quality shows, in words. */
export function describeQuality(quality: QualityReport): string {
  const steps = front(quality).map((row) => `${qualityName(row)} (${duration(row.stepSeconds)} a step, perplexity ${number(row.after)})`);
  if (steps.length === 0) return `No row is on the Pareto front; dense has perplexity ${number(quality.densePerplexity)}.`;
  return `The Pareto front from fast to slow: ${steps.join(', ')}. Dense has perplexity ${number(quality.densePerplexity)}.`;
}
