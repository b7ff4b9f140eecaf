/** What a comparison says, in words, in a table and on a page: figures by hand, and names that mean no harm. */
import { describe, expect, test } from 'vitest';
import { comparisonHtml } from '../../../src/bench/methods/report.ts';
import { columnsOf, methodFindings } from '../../../src/bench/methods/table.ts';
import { secondsTo } from '../../../src/bench/methods/target.ts';
import { zerosKept } from '../../../src/bench/methods/zeros.ts';
import { withValues } from '../../../src/models/fuse.ts';
import { pack } from '../../../src/sparse/pack.ts';
import { tinyModel } from '../../gradients/tinyLlama.ts';
import { sampleComparison } from './sampleComparison.ts';

describe('seconds to a perplexity', () => {
  const curve = [100, 50, 60, 10].map((perplexity, i) => ({ step: i, seconds: i * 2, perplexity }));

  test('by a line in the loss between the evaluations on either side', () => {
    expect(secondsTo(curve, 50)).toBe(2);
    // Half way in the loss: the geometric mean.
    expect(secondsTo(curve, Math.sqrt(100 * 50))).toBeCloseTo(1, 12);
    expect(secondsTo(curve, Math.sqrt(60 * 10))).toBeCloseTo(5, 12);
  });

  test('the first time counts; from the start where it starts there; never where it never did', () => {
    expect(secondsTo(curve, 55)).toBeLessThan(2);
    expect(secondsTo(curve, 100)).toBe(0);
    expect(secondsTo(curve, 200)).toBe(0);
    expect(secondsTo(curve, 9.9)).toBeUndefined();
    expect(secondsTo([], 5)).toBeUndefined();
  });
});

describe('zeros kept', () => {
  test.each(['F32', 'BF16', 'F16'] as const)(
    '%s: counted one by one; a dense weight that has the zeros counts as well as a packed one',
    (dtype) => {
      const base = tinyModel('2:4', { dtype });
      expect(zerosKept(base, base)).toBe(1);
      const [name, weight] = [...base.linears][0]!;
      const dense = pack(dtype, dtype === 'F32' ? new Float32Array(12 * 12) : new Uint16Array(12 * 12), 12, 12, { format: 'dense' });
      expect(weight).toMatchObject({ rows: 12, cols: 12 });
      expect(zerosKept(base, withValues(base, { linears: new Map([[name, dense]]) }))).toBe(1);
      const one = dtype === 'F32' ? 1 : 0x3f80;
      const filled = withValues(base, { linears: new Map([[name, { ...dense, values: dense.values.map(() => one) }]]) });
      const zeros = [...base.linears.values()].reduce((n, w) => n + w.rows * w.cols - w.kept, 0);
      expect(zerosKept(base, filled)).toBeCloseTo(1 - (144 - weight.kept) / zeros, 12);
    },
  );

  test('minus zero is a zero, and a model without one keeps nothing', () => {
    const dense = tinyModel('dense');
    expect(zerosKept(dense, dense)).toBeUndefined();
    const base = tinyModel('2:4', { dtype: 'BF16' });
    const minus = [...base.linears].map(
      ([name, { rows, cols }]) => [name, pack('BF16', new Uint16Array(rows * cols).fill(0x8000), rows, cols, { format: 'dense' })] as const,
    );
    expect(zerosKept(base, withValues(base, { linears: new Map(minus) }))).toBe(1);
  });
});

describe('words', () => {
  const report = sampleComparison();

  test('who is best at what, of those whose result is sparse; who loses zeros; who diverged', () => {
    expect(methodFindings(report)).toEqual([
      'Of the methods that keep every zero, sqft ends lowest, at 10.00 after 20 updates.',
      'lors comes down to 12.00 first, in 533 ms of training.',
      'lors trains the most tokens a second; lors takes the least memory.',
      'lora keeps 0.002 % of the zeros: what comes out is not sparse.',
      'Diverged: hira at 0.001.',
    ]);
  });

  test('methods that are equal are named together; nothing is said of nothing', () => {
    const [lors] = report.rows;
    const twins = sampleComparison([lors!, { ...lors!, method: 'twin' }]);
    expect(methodFindings(twins)[0]).toBe(
      'Of the methods that keep every zero, lors and twin ends lowest, at 12.00 after 20 updates.'.replace('ends', 'end'),
    );
    expect(methodFindings({ ...report, rows: [], runs: [] })).toEqual([]);
  });

  test('nearly all zeros are not all of them, and what did not happen is no figure', () => {
    const columns = columnsOf(report);
    const cell = (name: string, row: (typeof report.rows)[number]): string => columns.find((c) => c.name === name)!.text(row);
    const [lors, , lora] = report.rows;
    expect(cell('zeros kept', lors!)).toBe('all');
    expect(cell('zeros kept', { ...lora!, zerosKept: 1 - 1e-9 })).not.toMatch(/all|^100/);
    const diverged = report.rows.at(-1)!;
    expect(columns.map(({ text }) => text(diverged))).toEqual(['hira', 'diverged', '80', '–', '–', 'not reached', '–', '–', '–', '–']);
  });
});

describe('the page', () => {
  const page = comparisonHtml(sampleComparison());
  const still = page.replaceAll(/<script[\s\S]*?<\/script>/g, '');

  test('needs no network and no script for its figures', () => {
    expect(page).toContain("default-src 'none'");
    expect(still).not.toMatch(/<(?:link|img|iframe|object|embed|base)\b|\bsrc=|@import|url\(/i);
    for (const text of ['sqft', '10.00', '23,120', '533 ms', 'diverged']) expect(still).toContain(text);
    expect(page).toContain('lorsReport.enhanceMethods(');
  });

  test('its data are the report, whatever its names are', () => {
    const evil = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\'&';
    const hostile = { ...sampleComparison([{ ...sampleComparison().rows[0]!, method: evil }]), options: { model: evil, data: evil } };
    const made = comparisonHtml(hostile);
    expect(made.match(/<script[^>]*>/g)).toHaveLength(2);
    expect(made.replaceAll(/<script[\s\S]*?<\/script>/g, '')).not.toMatch(/<img|<script/);
    const json = /<script type="application\/json" id="lors-data">([\s\S]*?)<\/script>/.exec(made)![1]!;
    expect(JSON.parse(json)).toEqual(hostile);
  });
});
