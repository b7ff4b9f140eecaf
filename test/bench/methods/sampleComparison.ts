/** A comparison as it comes out, with all that can come out: a method that loses zeros, and one that diverged everywhere. */
import type { CompareReport, MethodRow } from '../../../src/bench/methods/types.ts';
import { sampleReport } from '../sampleReport.ts';

const row = (method: string, end: number, speed: number, megabytes: number): MethodRow => ({
  method,
  learningRate: 1e-3,
  perplexity: end,
  tokensPerSecond: speed,
  secondsToTarget: 40 * (end / speed),
  plannedBytes: megabytes * 1e6,
  peakBytes: (megabytes + 1) * 1e6,
  trainableParameters: 23120,
  zerosKept: method === 'lora' ? 0.00002 : 1,
  curve: [80, (80 + end) / 2, end].map((perplexity, i) => ({ step: i * 10, seconds: i * (1000 / speed), perplexity })),
});

export function sampleComparison(
  rows: readonly MethodRow[] = [row('lors', 12, 900, 200), row('sqft', 10, 500, 300), row('lora', 9, 700, 250)],
): CompareReport {
  const { made, version, host } = sampleReport();
  return {
    schema: 'lors-compare/1',
    ...{ made, version, host },
    options: { model: 'model', data: 'text.jsonl', iters: 20 },
    iters: 20,
    before: 80,
    target: { perplexity: 12, by: 'worst' },
    rows: [...rows, { method: 'hira', curve: [] }],
    runs: [
      ...rows.map(({ method, learningRate, perplexity }) => ({ method, learningRate: learningRate!, perplexity: perplexity! })),
      { method: 'hira', learningRate: 1e-3, diverged: 'step 3: the loss is NaN' },
    ],
  };
}
