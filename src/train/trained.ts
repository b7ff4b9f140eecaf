/** What training has made of an adapter, as people exchange it. */
import type { Adapter, AdapterModule } from '../adapters/adapter.ts';
import { unpadDown, unpadUp } from '../adapters/factors.ts';
import type { Trainer } from './trainer.ts';

/** The factors of every adapted module as they are now. */
export function trainedModules(trainer: Trainer): Adapter['modules'] {
  const modules = new Map<string, AdapterModule>();
  for (const [name, { rank, padded, up, downT }] of trainer.compiled.factors) {
    const { rows: outFeatures, cols: inFeatures } = trainer.model.linears.get(name)!;
    modules.set(name, {
      rank,
      inFeatures,
      outFeatures,
      up: unpadUp(trainer.parameter(up), outFeatures, rank, padded),
      down: unpadDown(trainer.parameter(downT), inFeatures, rank, padded),
    });
  }
  return modules;
}
