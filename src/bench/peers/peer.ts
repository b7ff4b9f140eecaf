/** Others who compute the same: dense, since none of them gains from zeros. */
import type { Problem } from '../problem.ts';
import type { Op } from '../work.ts';

export interface PeerCase {
  readonly op: Op;
  /** Computes once; resolves to its seconds where they were taken elsewhere. */
  readonly run: () => Promise<unknown>;
  /** Throws WrongResult where it does not compute what our dense kernels do. */
  readonly check: () => Promise<void>;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Whether it can be told to use so many threads. */
  readonly canUse: (threads: number) => boolean;
  /** Its cases of those ops that it has. `dense` is W [rows, cols]. */
  readonly open: (
    problem: Problem,
    dense: Float32Array,
    ops: readonly Op[],
    threads: number,
  ) => Promise<{ readonly cases: readonly PeerCase[]; readonly close: () => Promise<void> }>;
  readonly end: () => void;
}
