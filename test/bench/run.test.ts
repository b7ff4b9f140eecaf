/** The measuring core on small matrices: results are checked, rows are what their definitions say, wrong results are not timed. */
import { describe, expect, test } from 'vitest';
import { runBench } from '../../src/bench/run.ts';
import type { BenchEvent, BenchPlan } from '../../src/bench/run.ts';
import { openGroup } from '../../src/bench/cases.ts';
import { WrongResult, checkBackward, checkForward, checkSame, checkSampled, factorGradientsOf, mergedOf } from '../../src/bench/check.ts';
import { parsePatterns } from '../../src/bench/patterns.ts';
import type { Peer } from '../../src/bench/peers/peer.ts';
import { makeMatrix, makeProblem } from '../../src/bench/problem.ts';
import { OPS, bytesOf, flopsOf } from '../../src/bench/work.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { pooledSessions } from '../../src/threads/pool.ts';
import { pack, packDense } from '../../src/sparse/pack.ts';

const effort = { seconds: 0.02, leastRounds: 2, mostRounds: 4 };
const plan: BenchPlan = {
  patterns: parsePatterns(['2:4', 'csr50', 'csr90', 'block']),
  ops: OPS,
  shapes: [{ rows: 52, cols: 72 }],
  tokens: [1, 21],
  threads: [1],
  flavours: ['plain'],
  rank: 6,
  effort,
};
const sessions = (flavour: string, threads: number) =>
  threads === 1
    ? localSessions({ module: kernelModule(flavour as Flavour).module })
    : pooledSessions({ module: kernelModule(flavour as Flavour, true).module, threads });
const host = { sessions, peers: [] };

describe('a run', () => {
  test('has a row for each pattern, op, shape and number of tokens; dense is always there; figures follow from the time', async () => {
    const events: BenchEvent[] = [];
    const { limits, rows } = await runBench(plan, host, (event) => events.push(event));
    const patterns = ['dense', '2:4', 'csr50', 'csr90', '16x1', '4x4', '4x1', '1x4'];
    // One token, among others, is for the product alone.
    const wanted = [1, 21].flatMap((t) => patterns.flatMap((p) => (t === 1 ? ['spmm'] : OPS).map((op) => `${p} ${op} ${t}`)));
    expect(rows.map(({ pattern, op, tokens }) => `${pattern} ${op} ${tokens}`)).toEqual(wanted);
    expect(events.map(({ event }) => event)).toEqual(['limits', 'group', 'group']);
    const [limit] = limits;
    for (const row of rows) {
      const { median, low, high, rounds } = row.seconds;
      expect(rounds).toBeGreaterThanOrEqual(2);
      expect(low).toBeLessThanOrEqual(median);
      expect(high).toBeGreaterThanOrEqual(median);
      const dense = rows.find(({ op, tokens, pattern }) => op === row.op && tokens === row.tokens && pattern === 'dense')!;
      expect(row.overDenseSpread!.low).toBeLessThanOrEqual(row.overDense!);
      expect(row.overDenseSpread!.high).toBeGreaterThanOrEqual(row.overDense!);
      if (row === dense) expect(row.overDense).toBe(1);
      expect(row.ofPeak).toBeCloseTo(row.gflops / limit!.gflops, 12);
      expect(row.intensity).toBeCloseTo(row.gflops / row.gbs, 9);
      if (row.op !== 'step') expect(row.gflops / row.denseGflops).toBeCloseTo(row.density, 12);
    }
    expect(limit!.gflops).toBeGreaterThan(0);
  });

  test('on two threads, and in both flavours, all results are right', async () => {
    const flavours = ['plain', 'relaxed'];
    const { rows } = await runBench({ ...plan, threads: [2], flavours, tokens: [21], patterns: parsePatterns(['2:4', '4x1']) }, host);
    expect(new Set(rows.map(({ threads, flavour }) => `${threads} ${flavour}`))).toEqual(new Set(['2 plain', '2 relaxed']));
  });

  test('a kernel that computes something else ends the run, and is named', async () => {
    const wrong = {
      ...host,
      sessions: (flavour: string, threads: number) => {
        const right = sessions(flavour, threads);
        return {
          ...right,
          open: (programs: Parameters<typeof right.open>[0]) =>
            // The products of 2:4 are those of another pattern.
            right.open(
              programs.map((program) => {
                if (program.name !== '2:4 spmm') return program;
                const { ops } = programs.find(({ name }) => name === 'csr50 spmm')!;
                return { ...program, ops };
              }),
            ),
        };
      },
    };
    await expect(runBench({ ...plan, tokens: [21] }, wrong)).rejects.toThrow(/^2:4 spmm: token 0, .* expected .*: nothing is timed/);
  });

  test("a peer's results are checked as ours are, and its time is what speed-ups over it are of", async () => {
    const peer = (factor: number): Peer => ({
      name: 'peer',
      version: '1',
      canUse: (threads) => threads === 1,
      open: (problem, dense) => {
        const y = new Float32Array(problem.tokens * problem.rows);
        for (let t = 0; t < problem.tokens; t++) {
          for (let r = 0; r < problem.rows; r++) {
            for (let c = 0; c < problem.cols; c++) {
              y[t * problem.rows + r]! += factor * problem.x[t * problem.cols + c]! * dense[r * problem.cols + c]!;
            }
          }
        }
        // It says itself how long it took.
        const run = () => Promise.resolve(0.25);
        const check = async () => {
          await Promise.resolve();
          checkForward('peer', y, dense, problem);
        };
        return Promise.resolve({ cases: [{ op: 'spmm' as const, run, check }], close: () => Promise.resolve() });
      },
      end: () => undefined,
    });
    const small = { ...plan, tokens: [3], patterns: parsePatterns(['2:4']) };
    const { rows } = await runBench(small, { ...host, peers: [peer(1)] });
    for (const { op, overPeers, seconds } of rows) {
      if (op === 'spmm') expect(overPeers!['peer']).toBeCloseTo(0.25 / seconds.median, 9);
      else expect(overPeers).toBeUndefined();
    }
    await expect(runBench(small, { ...host, peers: [peer(2)] })).rejects.toThrow(WrongResult);
  });
});

describe('the checks', () => {
  const problem = makeProblem({ rows: 9, cols: 14 }, 5, 3);
  const matrix = makeMatrix(parsePatterns(['csr50'])[0]!, problem);
  const { rows, cols, tokens, x, dy, rank, factors } = problem;
  const sum = (n: number, term: (i: number) => number): number => Array.from({ length: n }, (_, i) => term(i)).reduce((a, b) => a + b, 0);
  const fill = (length: number, of: (i: number) => number): Float32Array => Float32Array.from({ length }, (_, i) => of(i));

  /** Every single wrong number is found, wherever it is. */
  const expectFound = (right: Float32Array, check: (result: Float32Array) => void): void => {
    expect(() => check(right)).not.toThrow();
    for (let i = 0; i < right.length; i++) {
      const wrong = right.slice();
      wrong[i]! += 1;
      expect(() => check(wrong), `number ${i}`).toThrow(WrongResult);
    }
    expect(() => check(right.slice().fill(NaN))).toThrow(WrongResult);
  };

  test('forward', () => {
    const y = fill(tokens * rows, (i) => sum(cols, (c) => matrix[(i % rows) * cols + c]! * x[Math.floor(i / rows) * cols + c]!));
    expectFound(y, (result) => checkForward('y', result, matrix, problem));
  });

  test('backward', () => {
    const dx = fill(tokens * cols, (i) => sum(rows, (r) => matrix[r * cols + (i % cols)]! * dy[Math.floor(i / cols) * rows + r]!));
    expectFound(dx, (result) => checkBackward('dx', result, matrix, problem));
  });

  test('sampled: zeros of the mask everywhere, sums in the rows that are looked at, the first and the last among them', () => {
    const h = fill(rows * cols, (i) =>
      matrix[i] === 0 ? 0 : sum(tokens, (t) => dy[t * rows + Math.floor(i / cols)]! * x[t * cols + (i % cols)]!),
    );
    const check = (result: Float32Array): void => checkSampled('h', result, matrix, problem);
    expect(() => check(h)).not.toThrow();
    for (let i = 0; i < h.length; i++) {
      const wrong = h.slice();
      wrong[i]! += 1;
      if (matrix[i] === 0 || i < cols || i >= h.length - cols) expect(() => check(wrong), `number ${i}`).toThrow(WrongResult);
    }
  });

  test('merged, and the factor gradients, are the definition', () => {
    const merged = fill(rows * cols, (i) => {
      const update = sum(rank, (k) => factors.up[Math.floor(i / cols) * rank + k]! * factors.down[k * cols + (i % cols)]!);
      return matrix[i] === 0 ? 0 : matrix[i]! + update;
    });
    expectFound(merged, (result) => checkSame('merged', result, mergedOf(matrix, problem)));
    const h = (r: number, c: number): number => sum(tokens, (t) => dy[t * rows + r]! * x[t * cols + c]!);
    const { dUp, dDown } = factorGradientsOf(problem);
    dUp.forEach((d, i) => expect(d).toBe(sum(cols, (c) => h(Math.floor(i / rank), c) * factors.down[(i % rank) * cols + c]!)));
    dDown.forEach((d, i) => expect(d).toBe(sum(rows, (r) => h(r, i % cols) * factors.up[r * rank + Math.floor(i / cols)]!)));
  });

  test('no number of a group is so large that sums of it would be rounded', async () => {
    const group = await openGroup(
      makeProblem({ rows: 64, cols: 512 }, 256, 16),
      parsePatterns(['dense']),
      ['step'],
      sessions('plain', 1),
      'plain',
    );
    await group.cases[0]!.check();
    const { dUp, dDown } = factorGradientsOf(group.problem);
    for (const gradients of [dUp, dDown]) expect(Math.max(...gradients.map(Math.abs))).toBeLessThan(2 ** 20);
    await group.close();
  });
});

describe('what an op costs', () => {
  const problem = makeProblem({ rows: 8, cols: 12 }, 5, 2);

  test('operations', () => {
    expect(OPS.map((op) => flopsOf(op, 96, problem))).toEqual([960, 960, 384, 960, 2 * (960 + 384) + 4 * 2 * 20 * 5]);
  });

  test('bytes: each operand and result once', () => {
    const dense = packDense('F32', new Float32Array(96), 8, 12);
    expect(OPS.map((op) => bytesOf(op, dense, problem))).toEqual([
      384 + 240 + 160,
      384 + 240 + 160,
      384 + 160 + 384,
      240 + 160 + 384,
      2 * (384 + 240 + 160) + 3 * 160,
    ]);
    const half = pack('F32', makeMatrix(parsePatterns(['2:4'])[0]!, problem), 8, 12);
    expect(bytesOf('spmm', half, problem)).toBeGreaterThan(192 + 240 + 160);
    expect(bytesOf('spmm', half, problem)).toBeLessThan(384 + 240 + 160);
  });
});
