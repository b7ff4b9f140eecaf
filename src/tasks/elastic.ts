/** The elastic part of a run: the ranks that each step trains, and those that are kept at its end (NLS). */
import type { ElasticRanks } from '../adapters/adapter.ts';
import type { AdapterModule } from '../adapters/factors.ts';
import { firstRanks } from '../adapters/factors.ts';
import type { RandomState } from '../core/random.ts';
import { rankGroup } from '../models/names.ts';
import type { ClimbTurn, RankSearch, Ranks } from '../train/nls.ts';
import { RankSampler, climb, everywhere, middleOf } from '../train/nls.ts';

/** What runs with ranks: a trainer, or an evaluator. */
export interface ElasticModel {
  useRanks(ranks: Ranks): void;
}

export interface SearchSettings {
  readonly nlsSearch: RankSearch;
  readonly nlsTurns: number;
  readonly seed: number;
}

export class ElasticRun {
  readonly #model: ElasticModel;
  readonly #elastic: ElasticRanks;
  readonly #groups: readonly string[];
  readonly #sampler: RankSampler;
  #kept: Ranks;

  constructor(model: ElasticModel, elastic: ElasticRanks, groups: Iterable<string>, start: number | RandomState) {
    this.#model = model;
    this.#elastic = elastic;
    this.#groups = [...groups];
    this.#sampler = new RankSampler(this.#groups, elastic.ranks, start);
    this.#kept = everywhere(this.#groups, middleOf(elastic.ranks));
  }

  /** Where the drawing of ranks stands. */
  get state(): RandomState {
    return this.#sampler.state;
  }

  /** The ranks of the next step. */
  draw(): void {
    this.#model.useRanks(this.#sampler.next());
  }

  /** The ranks that are kept: the heuristic ones, until a search finds others. */
  useKept(): void {
    this.#model.useRanks(this.#kept);
  }

  /** Looks for the ranks to keep. `evaluate` gives the loss on held-out text with the ranks in use. */
  async search(
    settings: SearchSettings,
    evaluate: () => Promise<number>,
    onTurn: (turn: ClimbTurn) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    if (settings.nlsSearch === 'heuristic') return;
    const { ranks } = await climb({
      groups: this.#groups,
      choice: this.#elastic.ranks,
      turns: settings.nlsTurns,
      seed: settings.seed,
      evaluate: (candidate) => {
        this.#model.useRanks(candidate);
        return evaluate();
      },
      onTurn,
      signal,
    });
    this.#kept = ranks;
  }

  /** The rank of a module that is kept. */
  keptRank(name: string): number {
    return this.#kept.get(rankGroup(name, this.#elastic.sharing))!;
  }

  /** The sub-adapter of the ranks that are kept. */
  subAdapter(modules: ReadonlyMap<string, AdapterModule>): ReadonlyMap<string, AdapterModule> {
    return new Map([...modules].map(([name, module]) => [name, firstRanks(module, this.keptRank(name))]));
  }
}
