/** A report as a 2-core machine might give it, made up but the same each time: a model of time with seeded noise. */
import { Random } from '../../src/core/random.ts';
import type { BenchReport, BenchRow, Limits, QualityReport } from '../../src/bench/types.ts';

const OPS = ['spmm', 'spmmT', 'merge', 'sddmm', 'step'] as const;
const PATTERNS: readonly (readonly [pattern: string, format: string, density: number, efficiency: number])[] = [
  ['dense', 'dense', 1, 1],
  ['2:4', 'quad', 0.5, 0.97],
  ['1:4', 'quad', 0.25, 0.85],
  ['4:8', 'quad', 0.5, 0.82],
  ['csr50', 'quad', 0.5, 0.6],
  ['csr70', 'quad', 0.3, 0.48],
  ['csr90', 'csr', 0.1, 0.32],
  ['csr95', 'csr', 0.05, 0.26],
  ['block4x1-50', 'block', 0.5, 0.45],
  ['block4x4-75', 'block', 0.25, 0.22],
];
const SHAPES = [
  [576, 576],
  [2048, 2048],
  [8192, 2048],
] as const;

export const LIMITS: readonly Limits[] = [
  { flavour: 'plain', threads: 1, gflops: 63.4, readGBs: 36.6, copyGBs: 37.8 },
  { flavour: 'relaxed', threads: 1, gflops: 63.5, readGBs: 36.3, copyGBs: 38.4 },
];

/** 5 ops x 10 patterns x 3 shapes x 2 tokens x 2 flavours = 600 rows, one of them noisy; dense against two peers. */
export function sampleRows(): BenchRow[] {
  const random = new Random(7);
  const rows: BenchRow[] = [];
  for (const { flavour, gflops: peak } of LIMITS) {
    for (const [outputs, inputs] of SHAPES) {
      for (const tokens of [16, 512]) {
        for (const op of OPS) rows.push(...comparison(op, outputs, inputs, tokens, flavour, peak, random));
      }
    }
  }
  return rows.map((row, i) => (i === 123 ? { ...row, noisy: true, seconds: { ...row.seconds, high: row.seconds.median * 2.4 } } : row));
}

function comparison(
  op: BenchRow['op'],
  rows: number,
  cols: number,
  tokens: number,
  flavour: string,
  peak: number,
  random: Random,
): BenchRow[] {
  const share = { spmm: 0.84, spmmT: 0.8, merge: 0.2, sddmm: 0.6, step: 0.55 }[op];
  const fixed = op === 'step' ? 0.45 : 0.04; // of dense's time, whatever is kept
  let denseSeconds = 0;
  return PATTERNS.map(([pattern, format, density, efficiency]) => {
    const flops = 2 * rows * cols * (op === 'merge' ? 16 : tokens);
    const time = (flops / (peak * share * 1e9)) * ((density / efficiency) * (1 - fixed) + fixed) * (0.97 + 0.06 * random.uniform());
    if (pattern === 'dense') denseSeconds = time;
    const moved = 4 * (density * rows * cols * 1.1 + (rows + cols) * tokens);
    const gflops = (flops * density) / time / 1e9;
    const overDense = denseSeconds / time;
    return {
      op,
      pattern,
      format,
      density,
      shape: `${rows}x${cols}`,
      rows,
      cols,
      tokens,
      threads: 1,
      flavour,
      seconds: { median: time, low: time * 0.985, high: time * 1.02, rounds: 12 },
      noisy: false,
      gflops,
      denseGflops: flops / time / 1e9,
      gbs: moved / time / 1e9,
      intensity: (flops * density) / moved,
      ofPeak: gflops / peak,
      ...(pattern === 'dense' ? {} : { overDense }),
      ...(op === 'spmm' ? { overPeers: { 'ort-web': overDense * 1.58, 'tfjs-wasm': overDense * 1.34 } } : {}),
      weightBytes: Math.round(density * rows * cols * (pattern === 'dense' ? 4 : 4.5)),
    };
  });
}

export function sampleQuality(): QualityReport {
  const random = new Random(3);
  const rows = PATTERNS.slice(1).flatMap(([pattern, , density, efficiency]) =>
    ['magnitude', 'wanda'].map((pruner) => {
      const hurt = (1 / density - 0.9) ** 1.3 * (pruner === 'wanda' ? 1 : 1.6) * (pattern.startsWith('csr') ? 0.55 : 1);
      const before = 142.9 * (1 + hurt) * (0.98 + 0.04 * random.uniform());
      const stepSeconds = 0.048 * ((density / efficiency) * 0.55 + 0.45) * (0.99 + 0.02 * random.uniform());
      return {
        pattern,
        pruner,
        density,
        before,
        after: 60 + 9 * Math.log(1 + before) * hurt ** 0.4,
        stepSeconds,
        tokensPerSecond: 512 / stepSeconds,
      };
    }),
  );
  const beaten = (a: (typeof rows)[number]): boolean => rows.some((b) => b.after < a.after && b.stepSeconds < a.stepSeconds);
  return {
    model: 'examples/quickstart/model',
    data: 'moby-dick.txt',
    iters: 120,
    densePerplexity: 142.89,
    rows: rows.map((row) => ({ ...row, pareto: !beaten(row) })),
  };
}

/** The report of some rows, by default all of the sample's. */
export function sampleReport(rows: readonly BenchRow[] = sampleRows(), quality?: QualityReport): BenchReport {
  return {
    schema: 'lors-bench/1',
    made: '2026-11-24T09:00:00.000Z',
    version: '0.1.0',
    host: { cpu: 'AMD EPYC 9R45', cores: 2, memoryBytes: 24.7e9, os: 'linux', arch: 'x64', runtime: 'Node 24.11.1' },
    options: {
      patterns: PATTERNS.map(([pattern]) => pattern),
      ops: OPS,
      shapes: SHAPES.map((shape) => shape.join('x')),
      tokens: [16, 512],
      threads: [1],
      against: ['ort-web', 'tfjs-wasm'],
    },
    limits: LIMITS,
    rows,
    ...(quality ? { quality } : {}),
  };
}
