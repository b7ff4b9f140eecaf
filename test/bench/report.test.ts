/** report.html: one file that needs no network, with every figure in it, and safe whatever names it holds. */
import { describe, expect, test } from 'vitest';
import { reportHtml } from '../../src/bench/report.ts';
import { breakEven, curves, family } from '../../src/bench/report/curves.ts';
import { findings } from '../../src/bench/report/findings.ts';
import { placeLabels } from '../../src/bench/report/labels.ts';
import { columns, sorted, tsv } from '../../src/bench/report/table.ts';
import { withFront } from '../../src/bench/quality.ts';
import { sampleQuality, sampleReport, sampleRows } from './sampleReport.ts';

const report = sampleReport(sampleRows(), sampleQuality());
const page = reportHtml(report);
/** The page without its script and data: what is there when no script runs. */
const still = page.replaceAll(/<script[\s\S]*?<\/script>/g, '');

describe('the page', () => {
  test('loads nothing: its policy forbids it, and no element asks for it', () => {
    expect(page).toContain("default-src 'none'");
    expect(still).not.toMatch(/<(?:link|img|iframe|object|embed|base)\b|\bsrc=|@import|url\(/i);
    expect(page.match(/<script[^>]*>/g)).toEqual(['<script type="application/json" id="lors-data">', '<script>']);
  });

  test('has a line for each row, readable without its script', () => {
    expect(still.match(/<tr(?: class="noisy")?>(?:\s*<td>){1}/g)).toHaveLength(report.rows.length);
    expect(still.match(/<tr class="noisy">/g)).toHaveLength(1);
    expect(still).toContain('AMD EPYC 9R45');
    expect(still).toContain('63.4');
  });

  test('its data are the report', () => {
    const json = /<script type="application\/json" id="lors-data">([\s\S]*?)<\/script>/.exec(page)![1]!;
    expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(report)));
  });

  test('names that are HTML stay text, in the page and in the data', () => {
    const evil = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\'&';
    const [row] = sampleRows();
    const hostile = reportHtml({
      ...sampleReport(
        [
          { ...row!, pattern: evil, shape: evil },
          { ...row!, op: 'spmmT', overPeers: { [evil]: 2 } },
        ],
        {
          ...sampleQuality(),
          model: evil,
          data: evil,
        },
      ),
      host: { ...report.host, cpu: evil },
      options: { [evil]: evil },
    });
    expect(hostile.match(/<script[^>]*>/g)).toHaveLength(2);
    expect(hostile.replaceAll(/<script[\s\S]*?<\/script>/g, '')).not.toMatch(/<img|<script/);
  });

  test('without rows, without limits, without quality it is still a page', () => {
    const empty = reportHtml({ ...sampleReport([]), limits: [] });
    expect(empty).toContain('No kernel was measured.');
    expect(empty).toContain('The limits of the machine were not measured.');
  });
});

describe('what it says', () => {
  test('patterns that differ in how much they keep are one curve', () => {
    expect(['2:4', '1:4', '4:8', 'csr50', 'csr95', '4x1', '4x1:90', '16x1', 'dense'].map(family)).toEqual([
      'N:4',
      'N:4',
      'N:8',
      'csr',
      'csr',
      '4x1',
      '4x1',
      '16x1',
      'dense',
    ]);
  });

  test('the break-even lies on the straight line between its neighbours, in logarithms', () => {
    // Time in proportion to the kept weights plus nothing, and an overhead of 1.4: even at a density of 1 / 1.4.
    const points = [0.9, 0.6, 0.3].map((density) => ({ density, speedUp: 1 / (1.4 * density) }));
    expect(breakEven(points)).toMatchObject({ kind: 'at', pays: 'below' });
    expect((breakEven(points) as { density: number }).density).toBeCloseTo(1 / 1.4, 12);
    expect(breakEven([{ density: 0.5, speedUp: 1.2 }])).toEqual({ kind: 'always', least: 0.5, most: 0.5 });
    expect(
      breakEven([
        { density: 0.5, speedUp: 0.8 },
        { density: 0.1, speedUp: 0.9 },
      ]),
    ).toEqual({ kind: 'never', least: 0.1, most: 0.5 });
    expect(() => breakEven([])).toThrow('expected at least one point');
  });

  test('noisy rows are left out of the curves where there are others, and counted in words', () => {
    const [row] = sampleRows().filter(({ pattern, op }) => pattern === '2:4' && op === 'step');
    const noisy = { ...row!, tokens: 99, noisy: true, overDense: 50 };
    const [curve] = curves([row!, noisy]);
    expect(curve!.points[0]).toMatchObject({ speedUp: row!.overDense, settings: 1 });
    expect(findings({ rows: [row!, noisy] }).join(' ')).toContain('1 of 2 rows is noisy (step 2:4)');
    expect(findings({ rows: [noisy] }).join(' ')).toContain('all figures here are to be taken with care');
  });

  test('times that spread widely are said, and count all the same where the rounds agree about the speed-up', () => {
    const [row] = sampleRows().filter(({ pattern, op }) => pattern === '2:4' && op === 'step');
    const drifting = { ...row!, noisy: true, overDenseSpread: { low: row!.overDense! * 0.98, high: row!.overDense! * 1.02 } };
    const disagreeing = { ...row!, overDense: 50, overDenseSpread: { low: 30, high: 60 } };
    expect(curves([drifting, disagreeing])[0]!.points[0]).toMatchObject({ speedUp: row!.overDense, settings: 1 });
    const words = findings({ rows: [drifting, disagreeing] }).join(' ');
    expect(words).toContain('1 of 2 rows is noisy (step 2:4)');
    expect(words).toContain('The times of 1 row spread by more than a tenth.');
  });

  test('the Pareto front: what nothing beats in both; equals stay', () => {
    const row = (after: number, stepSeconds: number) => ({ ...sampleQuality().rows[0]!, after, stepSeconds });
    const rows = withFront([row(10, 3), row(12, 2), row(13, 2.5), row(10, 4), row(20, 1), row(20, 1)]);
    expect(rows.map(({ pareto }) => pareto)).toEqual([true, true, false, false, true, true]);
  });

  test('columns sort by their numbers, not their texts; rows without a figure are last either way', () => {
    const rows = sampleRows().slice(0, 12);
    const all = columns(rows);
    const time = all.find(({ name }) => name === 'time')!;
    const times = sorted(rows, time, 'descending').map((i) => rows[i]!.seconds.median);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    const dense = all.find(({ name }) => name === 'over dense')!;
    for (const direction of ['ascending', 'descending'] as const) {
      expect(rows[sorted(rows, dense, direction).at(-1)!]!.overDense).toBeUndefined();
    }
  });

  test('what is copied has a line for each row and numbers in full; no cell is a formula', () => {
    const rows = sampleRows()
      .slice(0, 3)
      .map((row) => ({ ...row, pattern: '=1+1\t2' }));
    const lines = tsv(rows, columns(rows)).trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[1]!.split('\t')).toHaveLength(lines[0]!.split('\t').length);
    expect(lines[1]).toContain("'=1+1 2");
    expect(lines[1]).toContain(String(rows[0]!.seconds.median));
  });

  test('labels lie on no dot, on no other label, and inside', () => {
    const dots = Array.from({ length: 30 }, (_, i) => ({ x: 40 + (i % 6) * 30, y: 30 + Math.floor(i / 6) * 14 }));
    const bounds = { left: 0, top: 0, right: 300, bottom: 120 };
    const placed = placeLabels(
      dots.map((dot) => ({ ...dot, text: 'csr90' })),
      dots,
      bounds,
    );
    const boxes = placed.flatMap((at) => (at ? [{ left: at.x, right: at.x + 5 * 6.6, top: at.y - 6.5, bottom: at.y + 6.5 }] : []));
    expect(boxes.length).toBeGreaterThan(0);
    expect(boxes.length).toBeLessThan(30);
    for (const [i, a] of boxes.entries()) {
      expect(a.left >= 0 && a.right <= 300 && a.top >= 0 && a.bottom <= 120).toBe(true);
      for (const b of boxes.slice(i + 1)) expect(a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom).toBe(false);
      for (const { x, y } of dots) expect(x > a.left && x < a.right && y > a.top && y < a.bottom).toBe(false);
    }
  });
});
