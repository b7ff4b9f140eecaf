/**
 * LoRS's gradient initialisation (arXiv 2501.08582): up = 0, and down = the top `rank` right singular vectors of G, the mean
 * gradient of the dense weight over some samples, over gamma. It is what makes || G - G down' down || least, so the first steps
 * follow full training as closely as the rank lets them.
 *
 * By block power iteration (Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithm 4.4), each
 * product with G being a pass over the samples (adapters/sketch.ts):
 *
 *   right = random [in][k];  left = axes(G right);  right = axes(G' left);  ...
 *
 * The share of a direction outside the top r that is left in `right` falls like (s_k+1 / s_r)^passes, s the singular values.
 */
import type { FactorTensors } from '../adapters/factors.ts';
import { GradientSketch } from '../adapters/sketch.ts';
import type { Side, SketchedLayer } from '../adapters/sketch.ts';
import { DivergenceError } from '../core/errors.ts';
import { Random } from '../core/random.ts';
import { TILE } from '../kernels/table.ts';
import type { Sequence } from '../models/batch.ts';
import { longestInput, packRows, targetTokens, totalInput, writeBatch } from '../models/batch.ts';
import { CompiledLlama } from '../models/llama.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Recomputed } from '../nn/block.ts';
import type { Program } from '../program/program.ts';
import type { Session, Sessions } from '../runtime/session.ts';
import { principalAxes, orthonormalRows } from './axes.ts';
import type { RecomputeChoice } from './recompute.ts';
import { whatToRecompute } from './recompute.ts';

export interface GradientInitOptions {
  /** What the gradient is the mean of: each labelled token weighs the same. */
  readonly samples: readonly Sequence[];
  /** What down is divided by: 1 in the authors' code. */
  readonly gamma: number;
  /** Passes over the samples, at least one. */
  readonly passes: number;
  readonly seed: number;
  /** Input tokens that go through the model at once; a longer sample goes alone. */
  readonly batchTokens: number;
  readonly recompute: RecomputeChoice;
  readonly sessions: Sessions;
  /** Told after each pass over the samples. */
  readonly onPass?: (pass: number, passes: number) => void;
}

/** Columns of a sketch by the rank, as in the authors' code. */
const OVERSAMPLING = 4;

/**
 * The same factors with down from the gradient, rows in the order of the singular values. One session, deterministic by the seed
 * for any number of threads. Throws MemoryBudgetError where it does not fit, DivergenceError where a loss is not a number.
 */
export async function gradientFactors<F extends FactorTensors>(
  model: LlamaModel,
  factors: ReadonlyMap<string, F>,
  options: GradientInitOptions,
): Promise<Map<string, F>> {
  const { samples, gamma, passes, seed } = options;
  const sketch = new GradientSketch(({ name, inFeatures, outFeatures }) => {
    const rank = factors.get(name)?.rank ?? 0;
    return Math.ceil(Math.min(OVERSAMPLING * rank, inFeatures, outFeatures) / 4) * 4;
  });
  const longest = longestInput(samples);
  const batches = packRows(samples, Math.max(options.batchTokens, longest));
  const compiled = new CompiledLlama(model, {
    tiles: Math.ceil(batches.reduce((most, batch) => Math.max(most, totalInput(batch)), 0) / TILE),
    positions: longest,
    wrap: (layer) => sketch.wrap(layer),
  });
  const programs = (recomputed: Recomputed): Program[] =>
    (['right', 'left'] as const).map((side) => {
      sketch.side = side;
      return { ...compiled.train(recomputed), name: side };
    });
  const session = options.sessions.open(programs(whatToRecompute(options, model.config.layers, programs)));
  try {
    const random = new Random(seed);
    // The last pass multiplies from the left, so that it gives `right`.
    const sides = Array.from({ length: passes }, (_, i): Side => ((passes - i) % 2 === 0 ? 'right' : 'left'));
    for (const layer of sketch.layers.values()) fill(session.floats(layer[sides[0]!]), () => random.normal());
    for (const [i, side] of sides.entries()) {
      const other = side === 'right' ? 'left' : 'right';
      for (const layer of sketch.layers.values()) session.floats(layer[other]).fill(0);
      await addProducts(session, compiled, batches, side, model);
      for (const { [other]: product, columns } of sketch.layers.values()) {
        const a = session.floats(product);
        principalAxes(a, a.length / columns, columns);
      }
      options.onPass?.(i + 1, passes);
    }
    const found = new Map<string, F>();
    for (const [name, module] of factors) {
      found.set(name, { ...module, down: topRows(session, sketch.layers.get(name)!, module.rank, gamma, random) });
    }
    return found;
  } finally {
    await session.close();
  }
}

/** One pass: the products of every layer's mean gradient with what stands on one side of it. */
async function addProducts(
  session: Session,
  { inputs, losses }: CompiledLlama,
  batches: readonly (readonly Sequence[])[],
  side: Side,
  model: LlamaModel,
): Promise<void> {
  const labelled = batches.flat().reduce((n, sequence) => n + targetTokens(sequence), 0);
  for (const batch of batches) {
    const counts = writeBatch(session, inputs, batch, model.config.vocabSize);
    session.floats(inputs.lossScale)[0] = 1 / labelled;
    await session.run(side, counts);
    if (session.floats(losses).subarray(0, counts.labelled).every(Number.isFinite)) continue;
    const where = session.findNonFinite(side, counts) ?? 'the loss';
    throw new DivergenceError(`gradient initialisation: a loss is not a number; first in ${where}. Is the model whole?`);
  }
}

/** The first `rank` columns of `right` as rows, orthonormal, over gamma. */
function topRows(
  session: Session,
  { right, columns, inFeatures }: SketchedLayer,
  rank: number,
  gamma: number,
  random: Random,
): Float32Array {
  const a = session.floats(right);
  const down = Float32Array.from({ length: rank * inFeatures }, (_, i) => a[(i % inFeatures) * columns + Math.floor(i / inFeatures)]!);
  orthonormalRows(down, rank, inFeatures, random);
  return down.map((x) => x / gamma);
}

function fill(a: Float32Array, next: () => number): void {
  for (let i = 0; i < a.length; i++) a[i] = next();
}
