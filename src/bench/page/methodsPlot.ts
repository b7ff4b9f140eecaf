/** Methods side by side: perplexity along the time of training, and where it ends against memory. */
import { dot, line, plot, ruleY } from '@observablehq/plot';
import { duration, number, bytes as sized } from '../report/format.ts';
import type { CompareReport } from '../methods/types.ts';
import { key, labels, look, panel, powers, size, tips } from './marks.ts';

/** Both panels, and the key of methods; nothing where no run came to its end. `width` is a panel's, in pixels. */
export function drawMethods({ rows, target, before }: CompareReport, width: number): HTMLElement[] {
  const runs = rows.flatMap((row, i) => (row.perplexity === undefined ? [] : [{ ...row, perplexity: row.perplexity, ...look(i) }]));
  if (runs.length === 0) return [];
  const lowest = Math.min(...runs.flatMap(({ curve }) => curve.map(({ perplexity }) => perplexity)));
  const ticks = (domain: readonly [number, number]): number[] => powers(domain, domain[1] / domain[0] > 100 ? 10 : Math.SQRT2);
  const axis = (domain: readonly [number, number]) =>
    ({ type: 'log', domain: [...domain], label: '↑ held-out perplexity', ticks: ticks(domain), tickFormat: number, grid: true }) as const;
  const frame = { ...size(width), marginLeft: 50, marginBottom: 38, marginRight: 20, marginTop: 24 };
  const goal = ruleY([target.perplexity], { stroke: 'var(--ink)', strokeDasharray: '5 4' });

  const points = runs.flatMap(({ method, curve, colour, symbol }) =>
    curve.map(({ step, seconds, perplexity }) => ({
      ...{ x: seconds, y: perplexity, method, colour, symbol },
      title: `${method}, step ${step}\nperplexity ${number(perplexity)} after ${duration(seconds)}`,
    })),
  );
  const along = plot({
    ...frame,
    x: { label: 'seconds of training →', domain: [0, Math.max(...points.map(({ x }) => x)) * 1.05] },
    y: axis([lowest / 1.1, before * 1.1]),
    marks: [
      goal,
      ...runs.flatMap(({ method, colour, symbol }) => {
        const mine = points.filter((point) => point.method === method);
        return [line(mine, { x: 'x', y: 'y', stroke: colour }), dot(mine, { x: 'x', y: 'y', symbol, fill: colour, r: 3.5 })];
      }),
      tips(points),
    ],
  });

  const ends = runs.map((run) => ({
    x: (run.peakBytes ?? NaN) / 1e6,
    y: run.perplexity,
    ...{ colour: run.colour, symbol: run.symbol, text: run.method, loses: run.zerosKept !== undefined && run.zerosKept < 1 },
    title: `${run.method} at ${run.learningRate ?? ''}\nperplexity ${number(run.perplexity)}, ${sized(run.peakBytes ?? NaN)}`,
  }));
  const sizes = ends.map(({ x }) => x);
  const spread = Math.max(...sizes) - Math.min(...sizes) || Math.max(...sizes) / 10;
  const perplexities = ends.map(({ y }) => y);
  const against = plot({
    ...frame,
    x: { label: 'peak memory, MB →', domain: [Math.max(0, Math.min(...sizes) - spread * 0.15), Math.max(...sizes) + spread * 0.25] },
    y: axis([Math.min(...perplexities) / 1.1, Math.max(target.perplexity, ...perplexities) * 1.1]),
    marks: [
      goal,
      ...ends.map((end) =>
        dot([end], { x: 'x', y: 'y', symbol: end.symbol, r: 5, stroke: end.colour, fill: end.loses ? 'var(--paper)' : end.colour }),
      ),
      labels(ends, ends),
      tips(ends),
    ],
  });
  const best = [...runs].sort((a, b) => a.perplexity - b.perplexity);
  const ranked = best.map(({ method, perplexity }) => `${method} ${number(perplexity)}`).join(', ');
  return [
    key(rows.map(({ method }) => method)),
    panel(
      'Along the time of training',
      `Held-out perplexity over seconds of training. From lowest to highest at the end: ${ranked}.`,
      along,
    ),
    panel(
      'At the end, against memory',
      `Held-out perplexity over peak memory: ${runs.map((r) => `${r.method} ${number(r.perplexity)} with ${sized(r.peakBytes ?? NaN)}`).join(', ')}.`,
      against,
    ),
  ];
}
