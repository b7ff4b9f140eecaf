/** `lors bench` as a command: its lines, its files, what it says of two runs, and what it refuses to write over. */
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../io/temporary.ts';
import { lors } from './lors.ts';

interface Row {
  readonly pattern: string;
  readonly op: string;
  readonly tokens: number;
  readonly seconds: { readonly median: number };
}

describe('lors bench', () => {
  const root = temporaryDirectory();
  const small = ['bench', '--shapes', '48x64', '--patterns', '2:4,csr90', '--ops', 'spmm,step', '--tokens', '1,20', '--rank', '4'].concat([
    ...['--threads', '1', '--flavours', 'plain', '--seconds', '0.05'],
  ]);

  test('with --json one object a line; results.json, results.csv and report.html hold the same rows', async () => {
    const out = join(root, 'a');
    const { code, stdout, stderr } = await lors([...small, '--out', out, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; rows?: Row[]; files?: string[] });
    expect(events.map(({ event }) => event)).toEqual(['limits', 'group', 'group', 'result']);
    const result = events.at(-1)!;
    expect(result.rows!.map(({ pattern, op, tokens }) => `${pattern} ${op} ${tokens}`)).toEqual([
      ...['dense spmm 1', '2:4 spmm 1', 'csr90 spmm 1'],
      ...['dense spmm 20', 'dense step 20', '2:4 spmm 20', '2:4 step 20', 'csr90 spmm 20', 'csr90 step 20'],
    ]);
    expect(result.files).toEqual(['results.json', 'results.csv', 'report.html'].map((name) => join(out, name)));
    const saved = JSON.parse(fs.readFileSync(join(out, 'results.json'), 'utf8')) as { rows: Row[] };
    expect(saved.rows).toEqual(result.rows);
    const csv = fs.readFileSync(join(out, 'results.csv'), 'utf8').trimEnd().split('\n');
    expect(csv).toHaveLength(1 + saved.rows.length);
    const html = fs.readFileSync(join(out, 'report.html'), 'utf8');
    for (const { seconds } of saved.rows) expect(html).toContain(String(seconds.median));
  });

  test('results are not written over unless it is asked for', async () => {
    const out = join(root, 'kept');
    fs.mkdirSync(out);
    fs.writeFileSync(join(out, 'results.json'), 'mine');
    const { code, stdout, stderr } = await lors([...small, '--out', out]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^lors: .*kept.*--overwrite/);
    expect(fs.readFileSync(join(out, 'results.json'), 'utf8')).toBe('mine');
    expect((await lors([...small, '--out', out, '--overwrite'])).code).toBe(0);
    expect(fs.readFileSync(join(out, 'results.json'), 'utf8')).not.toBe('mine');
  });

  test('--compare: what is slower beyond noise is said, what did not change is not', async () => {
    const report = JSON.parse(fs.readFileSync(join(root, 'a', 'results.json'), 'utf8')) as { rows: Row[] };
    const scale = (factor: number) => (row: Row) => {
      if (row.pattern !== '2:4' || row.op !== 'step') return row;
      const seconds = Object.fromEntries(Object.entries(row.seconds).map(([k, v]) => [k, k === 'rounds' ? v : v * factor]));
      return { ...row, seconds };
    };
    const slower = join(root, 'slower.json');
    fs.writeFileSync(slower, JSON.stringify({ ...report, rows: report.rows.map(scale(100)) }));
    const same = await lors(['bench', '--compare', join(root, 'a', 'results.json'), join(root, 'a', 'results.json'), '--json']);
    expect(JSON.parse(same.stdout)).toMatchObject({ event: 'result', faster: [], slower: [], unchanged: 9 });
    const { code, stdout } = await lors(['bench', '--compare', join(root, 'a', 'results.json'), slower]);
    expect(code).toBe(0);
    const said = stdout.split('\n').filter((line) => line.includes('2:4'));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/step/);
    const { code: refused, stderr } = await lors(['bench', '--compare', slower, join(root, 'a', 'report.html')]);
    expect(refused).toBe(1);
    expect(stderr).toMatch(/^lors: .*report\.html/);
  });

  test('a peer that is not there is named before anything runs, with what to do', async () => {
    const { code, stdout, stderr } = await lors([...small, '--against', 'torch', '--python', join(root, 'no-python')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^lors: --against torch: expected .*no-python with PyTorch, got .*--python\.\n$/);
  });
});
