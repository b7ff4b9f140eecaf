/** Rooflines: a panel a flavour and number of threads, a dot a row. */
import { dot, line, plot, text } from '@observablehq/plot';
import { unique } from '../report/curves.ts';
import { where } from '../report/findings.ts';
import { counted, number, percent } from '../report/format.ts';
import { describeRoofline, roof, rooflines } from '../report/roofline.ts';
import { key, labels, look, panel, powers, size, tips } from './marks.ts';
import type { Roofline } from '../report/roofline.ts';
import type { BenchRow, Limits } from '../types.ts';

/** Up to how many dots each bears its pattern; of more, the fastest of each op does. */
const LABELLED = 24;

/** The panels of the selected rows. `all` rows give the colours. `width` is a panel's, in pixels. */
export function drawRooflines(
  rows: readonly BenchRow[],
  limits: readonly Limits[],
  all: readonly BenchRow[],
  width: number,
): HTMLElement[] {
  const ops = unique(all.map(({ op }) => op));
  const panels = rooflines(rows, limits).map((roofline) => {
    const title = `${roofline.flavour} SIMD, ${counted(roofline.threads, 'thread')}`;
    return panel(title, describeRoofline(roofline), draw(roofline, ops, width));
  });
  return panels.length > 0 ? [key(ops), ...panels] : [];
}

function draw({ rows, limits, x, y }: Roofline, ops: readonly string[], width: number): SVGSVGElement | HTMLElement {
  const dots = rows.map((row) => ({
    x: row.intensity,
    y: row.gflops,
    op: row.op,
    noisy: row.noisy,
    colour: look(ops.indexOf(row.op)).colour,
    text: rows.length > LABELLED ? `${row.op} ${row.pattern}` : row.pattern,
    title: `${row.op} ${row.pattern}${row.noisy ? ' (noisy)' : ''}\n${number(row.gflops)} GFLOP/s at ${number(row.intensity)} FLOP/byte, ${percent(row.ofPeak)} of peak\n${where(row)}`,
  }));
  const byspeed = [...dots].sort((a, b) => b.y - a.y);
  const words = rows.length > LABELLED ? ops.flatMap((op) => byspeed.find((d) => d.op === op) ?? []) : byspeed;
  const ridge = limits ? limits.gflops / limits.readGBs : x[0];
  // The name of the bandwidth stands where its line is in sight: halfway, in logarithms, from the bottom to the ridge.
  const slope = limits ? Math.sqrt(Math.max(x[0], y[0] / limits.readGBs) * ridge) : x[0];
  const frame = { ...size(width), marginLeft: 46, marginBottom: 38, marginRight: 14, marginTop: 24 };
  const angle = (Math.atan((((frame.height - 62) / Math.log(y[1] / y[0])) * Math.log(x[1] / x[0])) / (frame.width - 60)) * 180) / Math.PI;
  return plot({
    ...frame,
    x: { type: 'log', domain: [...x], label: 'operations a byte moved (FLOP/byte) →', ticks: powers(x), tickFormat: number, grid: true },
    y: { type: 'log', domain: [...y], label: '↑ GFLOP/s on kept weights', ticks: powers(y), tickFormat: number, grid: true },
    marks: [
      ...(limits
        ? [
            line(roof(limits, x), { stroke: 'var(--ink)', strokeWidth: 2, clip: true }),
            text([[Math.max(ridge, x[0]), limits.gflops]], {
              text: [`peak ${number(limits.gflops)} GFLOP/s`],
              frameAnchor: 'right',
              x: null,
              y: '1',
              textAnchor: 'end',
              dy: -8,
              dx: -4,
            }),
            text([[slope, slope * limits.readGBs]], { text: [`memory ${number(limits.readGBs)} GB/s`], rotate: -angle, dy: -9 }),
          ]
        : []),
      ...ops.flatMap((op, i) => {
        const { symbol, colour } = look(i);
        const mine = dots.filter((d) => d.op === op);
        return [
          dot(
            mine.filter(({ noisy }) => !noisy),
            { x: 'x', y: 'y', symbol, fill: colour, fillOpacity: 0.75, r: 3.5 },
          ),
          dot(
            mine.filter(({ noisy }) => noisy),
            { x: 'x', y: 'y', symbol, stroke: colour, r: 3.5 },
          ),
        ];
      }),
      labels(words, dots.length > LABELLED ? [] : dots),
      tips(dots),
    ],
  });
}
