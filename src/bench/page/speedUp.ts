/** Speed-up against density: a panel an op, a curve a family of patterns. */
import { dot, line, plot, ruleY, text } from '@observablehq/plot';
import { isUnsure } from '../noise.ts';
import { breakEven, curves, families, family, grouped, peerReferences } from '../report/curves.ts';
import { breakEvens, describeBreakEven, task, where } from '../report/findings.ts';
import { duration, number, percent, times } from '../report/format.ts';
import { key, labels, look, panel, powers, size, tips } from './marks.ts';
import type { Curve } from '../report/curves.ts';
import type { BenchRow } from '../types.ts';

/** The panels of the selected rows. `all` rows give the colours, so that a selection changes none. `width` is a panel's. */
export function drawSpeedUp(rows: readonly BenchRow[], all: readonly BenchRow[], width: number): HTMLElement[] {
  const names = families(all);
  const sparse = rows.filter((row) => row.pattern !== 'dense' && row.density > 0 && (row.overDense ?? 0) > 0);
  if (sparse.length === 0) return [];
  const x = [Math.min(0.5, ...sparse.map(({ density }) => density)) * 0.8, 1.1] as const;
  const speedUps = sparse.map(({ overDense }) => overDense!);
  const references = [...grouped(rows, ({ op }) => op).values()].flatMap(peerReferences).map(({ speedUp }) => speedUp);
  const y = [Math.min(0.7, ...speedUps, ...references) * 0.85, Math.max(2, ...speedUps, ...references) * 1.25] as const;
  const panels = [...grouped(sparse, ({ op }) => op)].map(([op, members]) => {
    const found = curves(members);
    const peers = peerReferences(rows.filter((row) => row.op === op));
    const description = `Speed-up against density of ${task(members[0]!.op)}. ${describe(found, members, peers)}`;
    return panel(task(members[0]!.op), description, draw(names, members, found, peers, x, y, width));
  });
  return [key(names), ...panels];
}

function describe(found: readonly Curve[], rows: readonly BenchRow[], peers: ReturnType<typeof peerReferences>): string {
  const even = new Map(breakEvens(rows).map((entry) => [entry.family, describeBreakEven(entry)]));
  const parts = found.map(({ family: name, points }) => {
    const list = points.map(({ pattern, density, speedUp }) => `${pattern} (${percent(density)} kept) ${times(speedUp)}`).join(', ');
    return `${name}: ${list}; ${even.get(name) ?? ''}.`;
  });
  return [...parts, ...peers.map(({ peer, speedUp }) => `${peer}, dense: ${times(speedUp)}.`)].join(' ');
}

function draw(
  names: readonly string[],
  rows: readonly BenchRow[],
  found: readonly Curve[],
  peers: ReturnType<typeof peerReferences>,
  x: readonly [number, number],
  y: readonly [number, number],
  width: number,
): SVGSVGElement | HTMLElement {
  const marked = rows.map((row) => ({
    x: row.density,
    y: row.overDense!,
    noisy: isUnsure(row),
    colour: look(names.indexOf(family(row.pattern))).colour,
    title: `${row.pattern}, ${percent(row.density)} kept${isUnsure(row) ? ' (noisy)' : ''}\n${times(row.overDense)} dense, ${duration(row.seconds.median)}\n${where(row)}`,
  }));
  const ofFamily = found.map(({ family: name, points }) => ({
    look: look(names.indexOf(name)),
    points: points.map((point) => ({ x: point.density, y: point.speedUp, text: point.pattern, low: point.low, high: point.high })),
    even: breakEven(points),
  }));
  const points = ofFamily.flatMap((curve) => curve.points);
  const evens = ofFamily.flatMap(({ even, look: { colour } }) =>
    even.kind === 'at' ? [{ x: even.density, y: 1, text: percent(even.density), colour }] : [],
  );
  return plot({
    ...size(width),
    marginLeft: 46,
    marginBottom: 38,
    marginRight: 14,
    marginTop: 24,
    x: {
      type: 'log',
      domain: [...x],
      label: 'kept weights / all (density) →',
      ticks: [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1].filter((d) => d >= x[0]),
      tickFormat: percent,
    },
    y: { type: 'log', domain: [...y], label: '↑ speed-up over our dense', ticks: powers(y), tickFormat: times, grid: true },
    marks: [
      line(
        [Math.max(x[0], 1 / y[1]), 1].map((d) => [d, 1 / d]),
        { stroke: 'var(--soft)', strokeOpacity: 0.6, clip: true },
      ),
      ruleY([1], { stroke: 'var(--ink)', strokeWidth: 1.5 }),
      ruleY(peers, { y: 'speedUp', stroke: 'var(--soft)', strokeDasharray: '5 4' }),
      text(peers, {
        y: 'speedUp',
        text: 'peer',
        frameAnchor: 'left',
        dx: 4,
        dy: -7,
        textAnchor: 'start',
        fill: 'var(--soft)',
        stroke: 'var(--paper)',
        strokeWidth: 3,
      }),
      ...ofFamily.flatMap(({ look: { colour, symbol }, points }) => [
        line(points, { x: 'x', y: 'y', stroke: colour, strokeWidth: 1.75 }),
        dot(points, { x: 'x', y: 'y', symbol, fill: colour, stroke: 'var(--paper)', r: 5 }),
      ]),
      dot(
        marked.filter(({ noisy }) => !noisy),
        { x: 'x', y: 'y', r: 1.8, fill: 'colour', fillOpacity: 0.5 },
      ),
      dot(
        marked.filter(({ noisy }) => noisy),
        { x: 'x', y: 'y', r: 2.2, stroke: 'colour' },
      ),
      dot(evens, { x: 'x', y: 'y', symbol: 'diamond', r: 5.5, fill: 'var(--paper)', stroke: 'colour', strokeWidth: 2 }),
      labels([...evens, ...points], [...points, ...evens]),
      tips([
        ...marked,
        ...points.map((point) => ({
          ...point,
          title: `${point.text}: median ${times(point.y)}\n${number(point.low)} to ${number(point.high)}`,
        })),
      ]),
    ],
  });
}
