/** Where adapters start: up = 0, so that the first forward pass is the base model's; down random. */
import type { AdapterModule } from '../adapters/factors.ts';
import { upColumns } from '../adapters/factors.ts';
import type { AdapterMethod } from '../adapters/methods.ts';
import { ruleOf } from '../adapters/methods.ts';
import { Random } from '../core/random.ts';
import { explain } from '../core/errors.ts';
import type { LlamaModel } from '../models/model.ts';
import { PROJECTIONS, projectionName } from '../models/names.ts';

/**
 * Kaiming-uniform factors with a = sqrt 5 (PEFT's default): down is uniform in +-1 / sqrt(inFeatures).
 * Throws RangeError where the rank is larger than a layer, or the method cannot have it there.
 */
export function initialFactors(
  model: LlamaModel,
  targets: readonly string[],
  rank: number,
  seed: number,
  method: AdapterMethod = 'lors',
): Map<string, AdapterModule> {
  const { upShape, check } = ruleOf(method);
  const layers = Array.from({ length: model.config.layers }, (_, layer) => layer);
  const names = layers.flatMap((layer) => PROJECTIONS.filter((p) => targets.includes(p)).map((p) => projectionName(layer, p)));
  const shapes = names.map((name) => {
    const { rows, cols } = model.linears.get(name)!;
    if (rank > Math.min(rows, cols))
      throw new RangeError(explain('--rank', `at most ${Math.min(rows, cols)} for ${name} (${rows} x ${cols})`, `${rank}`));
    check?.(name, rows, cols, rank);
    return { name, rows, cols, downLength: rank * cols, upLength: rows * upColumns(upShape, rank) };
  });
  // One array for all: hundreds of small ones leave holes in the host's heap when they go, which stay resident.
  const all = new Float32Array(shapes.reduce((sum, { downLength, upLength }) => sum + downLength + upLength, 0));
  let end = 0;
  const take = (length: number): Float32Array => all.subarray(end, (end += length));
  const random = new Random(seed);
  return new Map(
    shapes.map(({ name, rows, cols, downLength, upLength }) => {
      const bound = 1 / Math.sqrt(cols);
      const down = take(downLength);
      for (let i = 0; i < down.length; i++) down[i] = (2 * random.uniform() - 1) * bound;
      return [name, { rank, inFeatures: cols, outFeatures: rows, down, up: take(upLength) }];
    }),
  );
}
