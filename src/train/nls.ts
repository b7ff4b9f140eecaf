/**
 * Neural low-rank adapter search (NLS; Shears, arXiv 2404.10934, and SQFT, arXiv 2410.03750): a super-adapter is trained with
 * a rank drawn for each group of modules at each step; then the ranks to keep are looked for, without training.
 */
import { explain } from '../core/errors.ts';
import { Random } from '../core/random.ts';
import type { RandomState } from '../core/random.ts';
import type { CompiledLlama } from '../models/llama.ts';
import type { Session } from '../runtime/session.ts';

/** How the ranks to keep are found: the middle one everywhere, or from there on to better neighbours on held-out text. */
export const RANK_SEARCHES = ['heuristic', 'hill-climbing'] as const;
export type RankSearch = (typeof RANK_SEARCHES)[number];

/** A rank for each group. */
export type Ranks = ReadonlyMap<string, number>;

/** The choice of ranks, the largest first. Throws RangeError where it is none, or larger than the adapter. */
export function rankChoice(ranks: readonly number[], rank: number): number[] {
  const choice = [...new Set(ranks)].sort((a, b) => b - a);
  if (choice.length !== ranks.length) throw new RangeError(explain('--nls-ranks', 'each rank once', ranks.join(',')));
  if (choice[0] !== rank)
    throw new RangeError(explain('--nls-ranks', `the largest to be --rank, ${rank}`, `${choice[0]}`, 'The super-adapter has that rank.'));
  return choice;
}

/** Every rank of every group. */
export function wholeRanks({ gates }: CompiledLlama): Ranks {
  return new Map([...gates].map(([group, { bytes }]) => [group, bytes / 4]));
}

/** Has a model's elastic factors run with the first ranks of each group. */
export function openGates(session: Session, { gates }: CompiledLlama, ranks: Ranks): void {
  for (const [group, gate] of gates) session.write(gate, new Float32Array(gate.bytes / 4).fill(1, 0, ranks.get(group)));
}

/** The same rank everywhere. */
export function everywhere(groups: Iterable<string>, rank: number): Ranks {
  return new Map([...groups].map((group) => [group, rank]));
}

/** The middle of the choice, the larger one where two are: SQFT's heuristic sub-adapter. */
export function middleOf(choice: readonly number[]): number {
  return choice[(choice.length - 1) >> 1]!;
}

/** Draws ranks, uniformly; its state is all that goes on needs. */
export class RankSampler {
  readonly #groups: readonly string[];
  readonly #choice: readonly number[];
  readonly #random: Random;

  constructor(groups: Iterable<string>, choice: readonly number[], start: number | RandomState) {
    this.#groups = [...groups];
    this.#choice = choice;
    this.#random = new Random(start);
  }

  get state(): RandomState {
    return this.#random.state();
  }

  next(): Ranks {
    return new Map(this.#groups.map((group) => [group, this.#choice[this.#random.below(this.#choice.length)]!]));
  }
}

export interface ClimbOptions {
  readonly groups: Iterable<string>;
  readonly choice: readonly number[];
  /** Neighbours to try. */
  readonly turns: number;
  readonly seed: number;
  /** The loss on held-out text with these ranks. */
  readonly evaluate: (ranks: Ranks) => Promise<number>;
  readonly onTurn?: (turn: ClimbTurn) => void;
  /** Ends the climb after the turn that is under way, with the best so far. */
  readonly signal?: AbortSignal | undefined;
}

export interface ClimbTurn {
  /** 0 is the heuristic one, that the climb starts from. */
  readonly turn: number;
  readonly loss: number;
  /** The lowest loss so far. */
  readonly best: number;
}

/**
 * Hill-climbing from the heuristic ranks: a neighbour has one group's rank one step larger or smaller; it is gone to where its
 * loss is lower. None is tried twice; the climb ends early where all neighbours have been.
 */
export async function climb({
  groups,
  choice,
  turns,
  seed,
  evaluate,
  onTurn,
  signal,
}: ClimbOptions): Promise<{ ranks: Ranks; loss: number }> {
  const random = new Random(seed);
  const names = [...groups];
  const tried = new Set<string>();
  const key = (ranks: Ranks): string => names.map((name) => ranks.get(name)).join();
  let ranks = everywhere(names, middleOf(choice));
  let best = await evaluate(ranks);
  tried.add(key(ranks));
  onTurn?.({ turn: 0, loss: best, best });
  for (let turn = 1; turn <= turns && !signal?.aborted; turn++) {
    const open = neighbours(ranks, names, choice).filter((neighbour) => !tried.has(key(neighbour)));
    if (open.length === 0) break;
    const neighbour = open[random.below(open.length)]!;
    tried.add(key(neighbour));
    const loss = await evaluate(neighbour);
    if (loss < best) [ranks, best] = [neighbour, loss];
    onTurn?.({ turn, loss, best });
  }
  return { ranks, loss: best };
}

function neighbours(ranks: Ranks, names: readonly string[], choice: readonly number[]): Ranks[] {
  return names.flatMap((name) => {
    const at = choice.indexOf(ranks.get(name)!);
    return [at - 1, at + 1].filter((i) => choice[i] !== undefined).map((i) => new Map(ranks).set(name, choice[i]!));
  });
}
