/** What training has made of an adapter, as people exchange it. */
import type { Adapter } from '../adapters/adapter.ts';
import { moduleOf } from '../adapters/factors.ts';
import type { Trainer } from './trainer.ts';

/** The factors of every adapted module as they are now. */
export function trainedModules(trainer: Trainer): Adapter['modules'] {
  return new Map([...trainer.compiled.factors].map(([name, factors]) => [name, moduleOf(factors, (p) => trainer.liveParameter(p))]));
}
