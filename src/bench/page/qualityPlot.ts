/** Quality beside speed: perplexity against the time of a step, before and after recovery, and the Pareto front. */
import { dot, line, link, plot, ruleY, text } from '@observablehq/plot';
import { unique } from '../report/curves.ts';
import { number, percent } from '../report/format.ts';
import { describeQuality, front, qualityName } from '../report/quality.ts';
import { key, labels, look, panel, powers, size, tips } from './marks.ts';
import type { QualityReport } from '../types.ts';

/** The panel, one, with the key of pruners; nothing where no row can be shown. `width` is a panel's, in pixels. */
export function drawQuality(quality: QualityReport, width: number): HTMLElement[] {
  const rows = quality.rows.filter(
    ({ before, after, stepSeconds }) => before > 0 && after > 0 && stepSeconds > 0 && Number.isFinite(before * after),
  );
  if (rows.length === 0) return [];
  const pruners = unique(rows.map(({ pruner }) => pruner));
  const scale = Math.max(...rows.map(({ stepSeconds }) => stepSeconds)) < 1 ? 1e3 : 1;
  const points = rows.map((row) => ({
    x: row.stepSeconds * scale,
    y: row.after,
    before: row.before,
    pruner: row.pruner,
    colour: look(pruners.indexOf(row.pruner)).colour,
    pareto: row.pareto,
    text: qualityName(row),
    title: `${qualityName(row)}, ${percent(row.density)} kept\nperplexity ${number(row.before)} pruned, ${number(row.after)} recovered\n${number(row.tokensPerSecond)} tokens/s${row.pareto ? '\non the Pareto front' : ''}`,
  }));
  const times = points.map(({ x }) => x);
  const spread = Math.max(...times) - Math.min(...times) || Math.max(...times);
  const perplexities = [quality.densePerplexity, ...rows.flatMap(({ before, after }) => [before, after])].filter((p) => p > 0);
  const y = [Math.min(...perplexities) / 1.2, Math.max(...perplexities) * 1.2] as const;
  const best = [...points].sort((a, b) => Number(b.pareto) - Number(a.pareto) || a.y - b.y);
  const picture = plot({
    ...size(width),
    marginLeft: 50,
    marginBottom: 38,
    marginRight: 20,
    marginTop: 24,
    x: {
      domain: [Math.max(0, Math.min(...times) - spread * 0.1), Math.max(...times) + spread * 0.1],
      label: `time of a step, ${scale === 1 ? 's' : 'ms'} →`,
      ticks: Math.max(3, Math.floor(width / 90)),
    },
    y: {
      type: 'log',
      domain: [...y],
      label: '↑ perplexity (lower is better)',
      ticks: y[1] / y[0] > 100 ? powers(y, 10) : powers(y, Math.SQRT2),
      tickFormat: number,
      grid: true,
    },
    marks: [
      ruleY([quality.densePerplexity], { stroke: 'var(--ink)', strokeDasharray: '5 4' }),
      text([quality.densePerplexity], {
        text: (perplexity: number) => `dense ${number(perplexity)}`,
        y: (perplexity: number) => perplexity,
        frameAnchor: 'right',
        textAnchor: 'end',
        dx: -4,
        dy: -8,
        stroke: 'var(--paper)',
        strokeWidth: 3,
        fill: 'var(--ink)',
      }),
      link(points, { x: 'x', y1: 'before', y2: 'y', stroke: 'colour', strokeOpacity: 0.45 }),
      line(
        front(quality).map((row) => [row.stepSeconds * scale, row.after]),
        { stroke: 'var(--ink)', strokeWidth: 1.5 },
      ),
      ...pruners.flatMap((pruner, i) => {
        const { symbol, colour } = look(i);
        const mine = points.filter((point) => point.pruner === pruner);
        return [
          dot(mine, { x: 'x', y: 'before', symbol, stroke: colour, fill: 'var(--paper)', r: 4 }),
          dot(mine, { x: 'x', y: 'y', symbol, fill: colour, r: 5 }),
        ];
      }),
      labels(best, [...points, ...points.map(({ x, before }) => ({ x, y: before }))]),
      tips(points),
    ],
  });
  return [key(pruners), panel('Perplexity against the time of a step', describeQuality(quality), picture)];
}
