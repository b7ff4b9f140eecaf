/** Runs the cases of a plan, group by group: a shape, a number of tokens, a number of threads, a flavour. */
import type { Flavour } from '../core/flavour.ts';
import type { Sessions } from '../runtime/session.ts';
import { packedBytes } from '../sparse/weight.ts';
import type { Case } from './cases.ts';
import { openGroup } from './cases.ts';
import { measureLimits } from './limits.ts';
import type { Effort, Timing } from './measure.ts';
import { measure, speedUpOver } from './measure.ts';
import type { Pattern } from './patterns.ts';
import type { Peer, PeerCase } from './peers/peer.ts';
import type { Problem } from './problem.ts';
import { makeProblem } from './problem.ts';
import type { Shape } from './shapes.ts';
import { nameOf } from './shapes.ts';
import type { BenchRow, Limits } from './types.ts';
import type { Op } from './work.ts';
import { bytesOf, flopsOf } from './work.ts';

export interface BenchPlan {
  readonly patterns: readonly Pattern[];
  readonly ops: readonly Op[];
  readonly shapes: readonly Shape[];
  readonly tokens: readonly number[];
  readonly threads: readonly number[];
  readonly flavours: readonly string[];
  readonly rank: number;
  /** Of each group. */
  readonly effort: Effort;
}

export interface BenchHost {
  /** Sessions of a flavour on so many threads. */
  readonly sessions: (flavour: string, threads: number) => Sessions;
  readonly peers: readonly Peer[];
}

export type BenchEvent =
  | ({ readonly event: 'limits' } & Limits)
  | { readonly event: 'group'; readonly done: number; readonly groups: number; readonly rows: readonly BenchRow[] };

const DENSE: Pattern = { name: 'dense', kind: 'dense', zeros: 0 };

/**
 * Every row of the plan. Dense is always among the patterns: it is what speed-ups are over; one token, among other numbers of
 * them, is for the product alone. All results of a group are checked before any is timed. Throws WrongResult where one is wrong, MemoryBudgetError where a group does not fit.
 */
export async function runBench(
  plan: BenchPlan,
  host: BenchHost,
  onEvent: (event: BenchEvent) => void = () => undefined,
): Promise<{ limits: Limits[]; rows: BenchRow[] }> {
  const { shapes, tokens, threads, flavours } = plan;
  const patterns = plan.patterns.some(({ kind }) => kind === 'dense') ? plan.patterns : [DENSE, ...plan.patterns];
  const limits: Limits[] = [];
  const rows: BenchRow[] = [];
  const groups = flavours.length * threads.length * shapes.length * tokens.length;
  let done = 0;
  for (const flavour of flavours) {
    for (const n of threads) {
      const sessions = host.sessions(flavour, n);
      const limit = await measureLimits(sessions, flavour, n, { ...plan.effort, seconds: plan.effort.seconds / 4 });
      limits.push(limit);
      onEvent({ event: 'limits', ...limit });
      for (const shape of shapes) {
        for (const t of tokens) {
          const problem = makeProblem(shape, t, plan.rank);
          const found = await runGroup({ ...plan, patterns, ops: opsAt(t, plan) }, problem, limit, sessions, host.peers);
          rows.push(...found);
          onEvent({ event: 'group', done: ++done, groups, rows: found });
        }
      }
    }
  }
  return { limits, rows };
}

/** With others, one token is for generation: nobody trains on one. By itself it is what was asked for. */
function opsAt(tokens: number, plan: BenchPlan): readonly Op[] {
  return tokens === 1 && plan.tokens.length > 1 && plan.ops.includes('spmm') ? ['spmm'] : plan.ops;
}

async function runGroup(
  { patterns, ops, effort }: BenchPlan,
  problem: Problem,
  limit: Limits,
  sessions: Sessions,
  peers: readonly Peer[],
): Promise<BenchRow[]> {
  const group = await openGroup(problem, patterns, ops, sessions, limit.flavour as Flavour);
  const opened: { readonly peer: Peer; readonly cases: readonly PeerCase[]; readonly close: () => Promise<void> }[] = [];
  try {
    for (const one of group.cases) await one.check();
    for (const peer of peers) {
      if (!peer.canUse(limit.threads)) continue;
      const theirs = { peer, ...(await peer.open(problem, group.dense, ops, limit.threads)) };
      opened.push(theirs);
      for (const one of theirs.cases) await one.check();
    }
    const timings = await measure(
      [
        ...group.cases.map(({ op, pattern, run }) => ({ name: `${pattern.name} ${op}`, run })),
        ...opened.flatMap(({ peer, cases }) => cases.map(({ op, run }) => ({ name: `${peer.name} ${op}`, run }))),
      ],
      effort,
    );
    return group.cases.map((one) => rowOf(one, problem, limit, timings, opened));
  } finally {
    await group.close();
    for (const { close } of opened) await close();
  }
}

function rowOf(
  { op, pattern, weight }: Case,
  problem: Problem,
  { flavour, threads, gflops: peak }: Limits,
  timings: ReadonlyMap<string, Timing>,
  peers: readonly { readonly peer: Peer; readonly cases: readonly PeerCase[] }[],
): BenchRow {
  const { rows, cols, tokens } = problem;
  const timing = timings.get(`${pattern.name} ${op}`)!;
  const { seconds, noisy } = timing;
  const over = (other: string): ReturnType<typeof speedUpOver> => speedUpOver(timing, timings.get(`${other} ${op}`)!);
  const overDense = over(DENSE.name);
  const flops = flopsOf(op, weight.kept, problem);
  const bytes = bytesOf(op, weight, problem);
  const gflops = flops / seconds.median / 1e9;
  const measured = peers.filter(({ cases }) => cases.some((one) => one.op === op)).map(({ peer }) => peer.name);
  return {
    op,
    pattern: pattern.name,
    format: weight.format,
    density: weight.kept / (rows * cols),
    shape: nameOf(problem),
    rows,
    cols,
    tokens,
    threads,
    flavour,
    seconds,
    noisy,
    gflops,
    denseGflops: flopsOf(op, rows * cols, problem) / seconds.median / 1e9,
    gbs: bytes / seconds.median / 1e9,
    intensity: flops / bytes,
    ofPeak: gflops / peak,
    overDense: overDense.speedUp,
    overDenseSpread: overDense.spread,
    ...(measured.length > 0 && { overPeers: Object.fromEntries(measured.map((name) => [name, over(name).speedUp])) }),
    weightBytes: packedBytes(weight),
  };
}
