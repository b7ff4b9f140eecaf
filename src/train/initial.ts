/** Where adapters start: up = 0, so that the first forward pass is the base model's; down random. */
import type { AdapterModule } from '../adapters/factors.ts';
import { upColumns } from '../adapters/factors.ts';
import type { AdapterMethod } from '../adapters/methods.ts';
import { ruleOf } from '../adapters/methods.ts';
import { Random } from '../core/random.ts';
import { explain } from '../core/errors.ts';
import type { LlamaModel } from '../models/model.ts';
import type { Projection } from '../models/names.ts';
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
  const random = new Random(seed);
  const factors = new Map<string, AdapterModule>();
  for (let layer = 0; layer < model.config.layers; layer++) {
    for (const projection of PROJECTIONS.filter((p: Projection) => targets.includes(p))) {
      const name = projectionName(layer, projection);
      const { rows, cols } = model.linears.get(name)!;
      if (rank > Math.min(rows, cols))
        throw new RangeError(explain('--rank', `at most ${Math.min(rows, cols)} for ${name} (${rows} x ${cols})`, `${rank}`));
      check?.(name, rows, cols, rank);
      const bound = 1 / Math.sqrt(cols);
      const down = Float32Array.from({ length: rank * cols }, () => (2 * random.uniform() - 1) * bound);
      factors.set(name, { rank, inFeatures: cols, outFeatures: rows, down, up: new Float32Array(rows * upColumns(upShape, rank)) });
    }
  }
  return factors;
}
