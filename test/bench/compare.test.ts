import { describe, expect, test } from 'vitest';
import { compareReports } from '../../src/bench/compare.ts';
import { csvOf } from '../../src/bench/csv.ts';
import type { BenchReport, BenchRow } from '../../src/bench/types.ts';
import { sampleReport, sampleRows } from './sampleReport.ts';

const rows = sampleRows().slice(0, 20);
const before = sampleReport(rows);
/** The same rows, `factor` times as slow; `spread` is the distance of the quartiles, of the median. */
const slower = (factor: number, spread = 0.01, rounds = 25): BenchReport =>
  sampleReport(
    rows.map((row): BenchRow => {
      const median = row.seconds.median * factor;
      return { ...row, seconds: { median, low: median * (1 - spread / 2), high: median * (1 + spread / 2), rounds } };
    }),
  );

describe('comparing two reports', () => {
  test('the same report twice: nothing has changed', () => {
    expect(compareReports(before, before)).toMatchObject({
      faster: [],
      slower: [],
      unchanged: 20,
      onlyBefore: [],
      onlyAfter: [],
      warnings: [],
    });
  });

  test('beyond the noise of both medians and the least that counts, rows are faster or slower, by so much', () => {
    expect(compareReports(slower(1), slower(1.04)).unchanged).toBe(20);
    const { slower: lost, faster, unchanged } = compareReports(slower(1), slower(1.25));
    expect({ lost: lost.length, faster, unchanged }).toEqual({ lost: 20, faster: [], unchanged: 0 });
    for (const { speedUp } of lost) expect(speedUp).toBeCloseTo(0.8, 9);
    expect(compareReports(slower(1.25), slower(1)).faster).toHaveLength(20);
  });

  test('a wide spread makes the same change noise, more rounds make it none again', () => {
    // 1.57 x 0.6 / sqrt(25) = 0.19 of either median.
    expect(compareReports(slower(1, 0.6), slower(1.25, 0.6)).unchanged).toBe(20);
    expect(compareReports(slower(1, 0.6, 2500), slower(1.25, 0.6, 2500)).slower).toHaveLength(20);
  });

  test("what the machine's own limits explain has not changed, and is said", () => {
    const weaker = { ...slower(1.25), limits: before.limits.map((limit) => ({ ...limit, gflops: limit.gflops / 1.25 })) };
    const { unchanged, warnings } = compareReports(slower(1), weaker);
    expect(unchanged).toBe(20);
    expect(warnings[0]).toMatch(/the machine's own peak \(plain, 1 thread\) was 63.4 GFLOP\/s before and is 50.7 now/);
    // On a machine that lost a quarter, what takes twice as long has changed by more.
    const [first] = compareReports(slower(1), { ...weaker, rows: slower(2).rows }).slower;
    expect(first!.corrected).toBeCloseTo(0.5 * 1.25, 9);
  });

  test('rows of one side alone are listed, another machine is said', () => {
    const other = { ...sampleReport(rows.slice(2)), host: { ...before.host, cpu: 'another CPU' } };
    const { onlyBefore, onlyAfter, warnings } = compareReports(before, other);
    expect(onlyBefore).toEqual(['spmm dense 576x576, 16 tokens, 1 thread, plain', 'spmm 2:4 576x576, 16 tokens, 1 thread, plain']);
    expect(onlyAfter).toEqual([]);
    expect(warnings).toEqual(['another cpu: AMD EPYC 9R45 before, another CPU now']);
  });
});

describe('CSV', () => {
  const lines = csvOf(rows).split('\r\n');
  const [head = '', first = ''] = lines;

  test('a line of names, a line for each row, as many cells in each', () => {
    expect(lines).toHaveLength(22);
    expect(lines.at(-1)).toBe('');
    for (const line of lines.slice(0, -1)) expect(line.split(',')).toHaveLength(head.split(',').length);
  });

  test('figures are whole, peers are columns', () => {
    const cell = (name: string): string => first.split(',')[head.split(',').indexOf(name)]!;
    expect([cell('op'), cell('pattern'), cell('tokens')]).toEqual(['spmm', 'dense', '16']);
    expect(Number(cell('medianSeconds'))).toBe(rows[0]!.seconds.median);
    expect(Number(cell('over ort-web'))).toBe(rows[0]!.overPeers!['ort-web']);
  });

  test('what would end a cell is quoted', () => {
    expect(csvOf([{ ...rows[0]!, pattern: 'a,"b"\n' }])).toContain('spmm,"a,""b""\n",dense');
  });
});
