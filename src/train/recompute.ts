/** Which activations are made again in the backward pass. */
import type { Recompute, Recomputed } from '../nn/block.ts';
import type { Program } from '../program/program.ts';
import type { Sessions } from '../runtime/session.ts';

/** Nothing, the MLPs of all blocks, all of all blocks, or as little as it takes to fit. */
export type RecomputeChoice = Recompute | 'auto';

/**
 * The least that makes the plan fit: MLPs first, since a byte of theirs takes two thirds of the time that one of a whole block does. All
 * blocks where it never fits, so that the session says what it needs.
 */
export function whatToRecompute(
  { recompute, sessions }: { readonly recompute: RecomputeChoice; readonly sessions: Sessions },
  layers: number,
  programs: (recomputed: Recomputed) => Program[],
): Recomputed {
  let most = recompute === 'none' ? 0 : recompute === 'mlp' ? layers : 2 * layers;
  for (let least = recompute === 'auto' ? 0 : most; least < most;) {
    const middle = (least + most) >> 1;
    if (sessions.fits(programs(step(middle, layers)))) most = middle;
    else least = middle + 1;
  }
  return step(most, layers);
}

/** Step n of twice as many as there are layers: first one MLP more each, then one block. */
function step(n: number, layers: number): Recomputed {
  const blocks = Math.max(0, n - layers);
  return { blocks, mlps: Math.min(n, layers) - blocks };
}
