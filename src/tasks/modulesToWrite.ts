/** A trained adapter for a writer, which asks for one factor after another: a copy of all would be beyond the plan of memory. */
import type { Adapter } from '../adapters/adapter.ts';
import type { AdapterModule, Factors } from '../adapters/factors.ts';
import { firstRanks, moduleOf } from '../adapters/factors.ts';
import { collectGarbage } from '../io/garbage.ts';
import type { Trainer } from '../train/trainer.ts';

/** What writing may leave behind before it is collected. */
const GARBAGE_BYTES = 8e6;

/**
 * The factors of every adapted module as they are when they are asked for: a copy each time, so ask once. Their first ranks alone, where
 * `rankOf` says how many of a module.
 */
export function modulesToWrite(trainer: Trainer, rankOf?: (name: string) => number): Adapter['modules'] {
  let garbage = 0;
  const made = (factors: Factors, rank: number): AdapterModule => {
    if (garbage > GARBAGE_BYTES) {
      collectGarbage();
      garbage = 0;
    }
    const module = moduleOf(factors, (parameter) => trainer.liveParameter(parameter));
    garbage += module.up.byteLength + module.down.byteLength;
    return rank < module.rank ? firstRanks(module, rank) : module;
  };
  return new Map(
    [...trainer.compiled.factors].map(([name, factors]) => {
      const { inFeatures, outFeatures, grid } = factors;
      const rank = rankOf?.(name) ?? factors.rank;
      const module: AdapterModule = {
        ...{ rank, inFeatures, outFeatures, grid },
        get up() {
          return made(factors, rank).up;
        },
        get down() {
          return made(factors, rank).down;
        },
      };
      return [name, module];
    }),
  );
}
