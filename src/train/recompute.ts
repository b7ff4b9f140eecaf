/** How many blocks' activations are made again in the backward pass. */
import type { Recompute } from '../nn/block.ts';
import type { Program } from '../program/program.ts';
import type { Sessions } from '../runtime/session.ts';

/** none, all, or as many as it takes to fit. */
export type RecomputeChoice = Recompute | 'auto';

/** The fewest blocks that make the plan fit; all of them where it never does, so that the session says what it needs. */
export function blocksToRecompute(
  { recompute, sessions }: { readonly recompute: RecomputeChoice; readonly sessions: Sessions },
  layers: number,
  programs: (recomputed: number) => Program[],
): number {
  if (recompute !== 'auto') return recompute === 'block' ? layers : 0;
  let most = layers;
  for (let least = 0; least < most;) {
    const middle = (least + most) >> 1;
    if (sessions.fits(programs(middle))) most = middle;
    else least = middle + 1;
  }
  return most;
}
