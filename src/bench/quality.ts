/** Quality beside speed: what each pattern does to a model's perplexity, what LoRS wins back, and what a step takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Separator } from '../io/rows.ts';
import type { Pruner } from '../prune/rule.ts';
import { evaluate } from '../tasks/evaluate.ts';
import { finetune } from '../tasks/finetune.ts';
import { inspectModel } from '../tasks/inspect.ts';
import { prune } from '../tasks/prune.ts';
import { heldOut } from './heldOut.ts';
import { summary } from './measure.ts';
import type { Pattern } from './patterns.ts';
import { sparsityOf } from './patterns.ts';
import type { QualityReport, QualityRow } from './types.ts';

export interface QualityPlan {
  readonly model: string;
  readonly data: string;
  readonly patterns: readonly Pattern[];
  readonly pruners: readonly Pruner[];
  readonly iters: number;
  readonly batchSize: number;
  readonly maxSeqLength: number;
  readonly learningRate: number;
  readonly rank: number;
  readonly separator: Separator;
  readonly seed: number;
  readonly threads: number;
  readonly kernels: 'auto' | 'plain' | 'relaxed' | 'wide';
}

/**
 * Prunes the model to each pattern by each pruner, and recovers it by LoRS steps; the dense model gets the same steps. Perplexities
 * are of held-out text. Throws as pruning, training and loading do.
 */
export async function measureQuality(plan: QualityPlan, onRow: (row: QualityRow) => void): Promise<QualityReport> {
  const work = mkdtempSync(join(tmpdir(), 'lors-quality-'));
  try {
    const data = heldOut(plan.data, work, plan.separator, 'test');
    const rows: QualityRow[] = [];
    const jobs = plan.patterns.flatMap((pattern) =>
      pattern.kind === 'dense' ? [] : plan.pruners.map((pruner) => ({ pattern, pruner, sparsity: sparsityOf(pattern)! })),
    );
    const dense = await recover(plan, data, plan.model, join(work, 'dense'));
    const add = (row: Omit<QualityRow, 'pareto'>): void => {
      rows.push({ ...row, pareto: false });
      onRow({ ...row, pareto: false });
    };
    add({ pattern: 'dense', pruner: 'none', density: 1, ...dense });
    for (const [i, { pattern, pruner, sparsity }] of jobs.entries()) {
      const out = join(work, `pruned-${i}`);
      const { separator, seed, threads, kernels, maxSeqLength } = plan;
      const pruned = await prune({
        model: plan.model,
        data,
        out,
        method: pruner,
        sparsity,
        separator,
        seed,
        threads,
        kernels,
        maxSeqLength,
      });
      const recovered = await recover(plan, data, out, join(work, `run-${i}`));
      add({ pattern: pattern.name, pruner, density: inspectModel(pruned).projectionDensity, ...recovered });
      rmSync(out, { recursive: true });
    }
    return { model: plan.model, data: plan.data, iters: plan.iters, densePerplexity: dense.before, rows: withFront(rows) };
  } finally {
    rmSync(work, { recursive: true });
  }
}

type Recovered = Pick<QualityRow, 'before' | 'after' | 'stepSeconds' | 'tokensPerSecond'>;

async function recover(plan: QualityPlan, data: string, model: string, out: string): Promise<Recovered> {
  const { separator, threads, kernels, maxSeqLength } = plan;
  const perplexity = async (adapter?: string): Promise<number> =>
    (await evaluate({ model, data, separator, threads, kernels, maxSeqLength, ...(adapter !== undefined && { adapter }) })).perplexity;
  const before = await perplexity();
  let last = 0;
  let tokens = 0;
  const steps: number[] = [];
  const { iters, batchSize, learningRate, rank, seed } = plan;
  const given = { model, data, out, iters, batchSize, learningRate, rank, seed, separator, threads, kernels, maxSeqLength };
  await finetune(
    { ...given, alpha: 2 * rank, saveEvery: 0, stepsPerEval: 0, stepsPerReport: iters },
    {
      onEvent: (event) => {
        if (event.event === 'start') last = performance.now();
        if (event.event === 'step') ({ tokens } = event);
        if (event.event !== 'progress') return;
        const now = performance.now();
        steps.push((now - last) / 1000);
        last = now;
      },
    },
  );
  // The first step compiles kernels and touches memory for the first time.
  const stepSeconds = summary(steps.length > 1 ? steps.slice(1) : steps).median;
  return { before, after: await perplexity(out), stepSeconds, tokensPerSecond: tokens / iters / stepSeconds };
}

/** Marks the rows that no other beats in both perplexity and time. */
export function withFront(rows: readonly QualityRow[]): QualityRow[] {
  const beats = (a: QualityRow, b: QualityRow): boolean =>
    a.after <= b.after && a.stepSeconds <= b.stepSeconds && (a.after < b.after || a.stepSeconds < b.stepSeconds);
  return rows.map((row) => ({ ...row, pareto: !rows.some((other) => beats(other, row)) }));
}
