/** The gradient initialisation against the singular vectors of a gradient that full training made: small enough to be exact. */
import { describe, expect, test } from 'vitest';
import { GradientSketch } from '../../src/adapters/sketch.ts';
import { DivergenceError } from '../../src/core/errors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { withValues } from '../../src/models/fuse.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { PROJECTIONS } from '../../src/models/names.ts';
import { localSessions } from '../../src/runtime/local.ts';
import type { Sessions } from '../../src/runtime/session.ts';
import { pack, unpack } from '../../src/sparse/pack.ts';
import { pooledSessions } from '../../src/threads/pool.ts';
import { principalAxes } from '../../src/train/axes.ts';
import { gradientFactors } from '../../src/train/gradientInit.ts';
import type { GradientInitOptions } from '../../src/train/gradientInit.ts';
import { initialFactors } from '../../src/train/initial.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { tinyBatch, tinyConfig, tinyModel } from '../gradients/tinyLlama.ts';
import { EPS, expectClose, sameBits } from '../kernels/claims.ts';
import { eachFlavour } from '../kernels/harness.ts';

const RANK = 3;
/** 41 tokens in four documents. */
const SAMPLES = tinyBatch(tinyConfig().vocabSize);
const ADAMW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };

function options(sessions: Sessions, given: Partial<GradientInitOptions> = {}): GradientInitOptions {
  return { samples: SAMPLES, gamma: 1, passes: 2, seed: 4, batchTokens: 64, recompute: 'none', sessions, ...given };
}

async function downs(model: LlamaModel, given: GradientInitOptions): Promise<Map<string, Float32Array>> {
  const factors = await gradientFactors(model, initialFactors(model, PROJECTIONS, RANK, 0), given);
  return new Map([...factors].map(([name, { down }]) => [name, down]));
}

/** The same model with projections that are stored dense, zeros and all. */
function denselyStored(model: LlamaModel): LlamaModel {
  const linears = [...model.linears].map(
    ([name, w]) => [name, pack('F32', unpack(w, w.values), w.rows, w.cols, { format: 'dense' })] as const,
  );
  return withValues(model, { linears: new Map(linears) });
}

/** The gradient of every dense weight, [out, in], by full training: no sketch, other kernels. */
async function denseGradients(model: LlamaModel): Promise<Map<string, Float32Array>> {
  const dense = denselyStored(model);
  const { module } = kernelModule('plain');
  const trainer = new Trainer(dense, {
    training: { method: 'full' },
    optimizer: ADAMW,
    batchTokens: 64,
    maxSeqLength: 32,
    recompute: 'none',
    sessions: localSessions({ module }),
  });
  await trainer.update([SAMPLES], 1e-9);
  const parameters = new Map(trainer.compiled.store.runs.flatMap((run) => run.parameters.map((p) => [p.name, p] as const)));
  return new Map([...dense.linears].map(([name, w]) => [name, unpack({ ...w, dtype: 'F32' }, trainer.gradient(parameters.get(name)!))]));
}

/** [out, in] -> [in, out]. */
function transposed(g: Float32Array, out: number, inputs: number): Float32Array {
  return Float32Array.from({ length: g.length }, (_, i) => g[(i % out) * inputs + Math.floor(i / out)]!);
}

/** a'a of rows [rank][n]. */
function projector(rows: ArrayLike<number>, rank: number, n: number): Float64Array {
  const p = new Float64Array(n * n);
  for (let k = 0; k < rank; k++)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) p[i * n + j]! += rows[k * n + i]! * rows[k * n + j]!;
  return p;
}

eachFlavour((flavour) => {
  const { module } = kernelModule(flavour);

  test.each(['2:4', '90 % sparse', 'dense'] as const)(
    '%s: down spans the top singular vectors of the gradient that full training has',
    async (mask) => {
      const model = tinyModel(mask);
      const gradients = await denseGradients(model);
      // With 12 columns, as many as the narrower side has, two passes see all of G: what is left is rounding.
      const found = await downs(model, options(localSessions({ module })));
      expect(found.size).toBe(14);
      let compared = 0;
      for (const [name, down] of found) {
        const { rows, cols } = model.linears.get(name)!;
        const vectors = transposed(gradients.get(name)!, rows, cols);
        const singular = principalAxes(vectors, cols, rows);
        const top = Float32Array.from({ length: RANK * cols }, (_, i) => vectors[(i % cols) * rows + Math.floor(i / cols)]!);
        // Wedin: a subspace turns by the error of the matrix over the gap behind it. G is a sum over some 30 tokens, through two
        // blocks, each way with its own order of sums: 64 roundings of its largest singular value are plenty.
        const allowed = (64 * EPS * singular[0]!) / (singular[RANK - 1]! - singular[RANK]!);
        // With few weights left some heads look at nothing, and their gradient has no third direction.
        if (!(allowed < 0.01)) continue;
        expectClose(name, projector(down, RANK, cols), projector(top, RANK, cols), allowed);
        compared++;
      }
      expect(compared).toBeGreaterThanOrEqual(mask === '90 % sparse' ? 7 : 14);
    },
  );
});

describe('plain', () => {
  const { module } = kernelModule('plain');
  const here = localSessions({ module });
  const model = tinyModel();

  test('rows are orthonormal over gamma, up stays zero, and ranks have the order of the singular values', async () => {
    const gradients = await denseGradients(model);
    const start = initialFactors(model, PROJECTIONS, RANK, 0);
    const found = await gradientFactors(model, start, options(here, { gamma: 4 }));
    for (const [name, { down, up, rank }] of found) {
      const { rows, cols } = model.linears.get(name)!;
      expect(rank).toBe(RANK);
      expect(up.every((x) => x === 0)).toBe(true);
      const gains = Array.from({ length: RANK }, (_, k) => {
        const row = down.subarray(k * cols, (k + 1) * cols);
        for (let other = 0; other <= k; other++) {
          const dot = row.reduce((sum, x, j) => sum + x * down[other * cols + j]!, 0);
          expect(Math.abs(dot * 16 - Number(other === k)), name).toBeLessThan(8 * EPS);
        }
        const g = gradients.get(name)!;
        return Math.hypot(...Array.from({ length: rows }, (_, i) => row.reduce((sum, x, j) => sum + x * g[i * cols + j]!, 0)));
      });
      expect(gains, name).toEqual([...gains].sort((a, b) => b - a));
    }
  });

  test('the same bits for one thread and for three, with blocks recomputed and not, weights staged or not', async () => {
    const want = await downs(model, options(here));
    const shared = kernelModule('plain', true).module;
    const others = [
      await downs(model, options(pooledSessions({ module: shared, threads: 3 }))),
      await downs(model, options(here, { recompute: 'block' })),
      await downs({ ...model, linears: new Map([...model.linears].map(([n, w]) => [n, { ...w, staged: true }])) }, options(here)),
    ];
    for (const other of others) for (const [name, down] of want) expect(sameBits(other.get(name)!, down), name).toBe(true);
  });

  test('another seed finds the same subspace by another way', async () => {
    const [a, b] = [await downs(model, options(here, { passes: 3 })), await downs(model, options(here, { passes: 3, seed: 5 }))];
    for (const [name, down] of a) {
      const { cols } = model.linears.get(name)!;
      expect(sameBits(b.get(name)!, down), name).toBe(false);
      expectClose(name, projector(b.get(name)!, RANK, cols), projector(down, RANK, cols), 1e-3);
    }
  });

  test('a sample of one token more than a batch goes alone, and each pass is told', async () => {
    const passes: string[] = [];
    const onPass = (pass: number, of: number): void => void passes.push(`${pass}/${of}`);
    const alone = await downs(model, options(here, { batchTokens: 1, onPass }));
    expect(passes).toEqual(['1/2', '2/2']);
    const together = await downs(model, options(here));
    for (const [name, down] of together) {
      const { cols } = model.linears.get(name)!;
      expectClose(name, projector(alone.get(name)!, RANK, cols), projector(down, RANK, cols), 1e-3);
    }
  });

  test('only modules that have factors are sketched', async () => {
    const some = await gradientFactors(model, initialFactors(model, ['v_proj'], RANK, 0), options(here));
    expect([...some.keys()]).toEqual(['model.layers.0.self_attn.v_proj', 'model.layers.1.self_attn.v_proj']);
    const all = await downs(model, options(here));
    const sketch = new GradientSketch(() => 0);
    const layer = { name: 'x', inFeatures: 4, outFeatures: 4, forward: () => undefined, backward: () => undefined };
    expect(sketch.wrap(layer)).toBe(layer);
    expect(all.size).toBe(14);
  });

  test('a model with weights that are not numbers is refused, with the op', async () => {
    const broken = withValues(model, {
      linears: new Map([...model.linears].map(([n, w]) => [n, { ...w, values: w.values.map(() => NaN) }])),
    });
    await expect(downs(broken, options(here))).rejects.toThrow(DivergenceError);
    await expect(downs(broken, options(here))).rejects.toThrow(/gradient initialisation: a loss is not a number; first in op \d+ .*q_proj/);
  });
});
