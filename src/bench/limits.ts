/** The machine's limits, through the same sessions as the kernels': multiply-adds a second, and bytes a second. */
import { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Sessions } from '../runtime/session.ts';
import type { Effort } from './measure.ts';
import { measure } from './measure.ts';
import type { Limits } from './types.ts';

const RUN_BYTES = 65536;
/** Larger than the caches of most machines. */
const BUFFER_BYTES = 2 ** 27;
/** Turns of sixteen multiply-adds on four lanes; units for threads to share. */
const [TURNS, UNITS] = [150_000, 32];

/** Measures in sessions of one flavour and number of threads: the fastest of all rounds, for a limit is what could be reached. */
export async function measureLimits(sessions: Sessions, flavour: string, threads: number, effort: Effort): Promise<Limits> {
  const runs = BUFFER_BYTES / RUN_BYTES;
  const value = (name: string, bytes: number, kind: 'input' | 'output' = 'input'): Value => ({ name, bytes, kind });
  const [from, to] = [value('read', BUFFER_BYTES), value('copied', BUFFER_BYTES, 'output')];
  const [x, w] = [value('x', 8 * 64), value('w', 16)];
  const add = new ProgramBuilder('multiplyAdds', 0);
  add.emit('multiplyAdds', UNITS, { y: value('y', UNITS * 64, 'output'), x, w, turns: TURNS });
  const read = new ProgramBuilder('read', 0);
  read.emit('readRuns', runs, { bits: value('bits', runs * 16, 'output'), words: from });
  const copy = new ProgramBuilder('copy', 0);
  copy.emit('copyRuns', runs, { y: to, x: from });
  const session = sessions.open([add, read, copy].map((b) => b.finish()));
  try {
    await session.ready();
    // Ordinary numbers: arithmetic on subnormal ones is slow. And pages that have been written: others are all the same page.
    for (const filled of [from, to, x, w]) session.floats(filled).fill(0.5);
    const counts = { tokens: 0, tiles: 0, labelled: 0, labelTiles: 0 };
    const timings = await measure(
      ['multiplyAdds', 'read', 'copy'].map((name) => ({ name, run: () => session.run(name, counts) })),
      effort,
    );
    const fastest = (name: string): number => timings.get(name)!.best;
    return {
      flavour,
      threads,
      gflops: (TURNS * UNITS * 16 * 4 * 2) / fastest('multiplyAdds') / 1e9,
      readGBs: BUFFER_BYTES / fastest('read') / 1e9,
      // Reads and writes.
      copyGBs: (2 * BUFFER_BYTES) / fastest('copy') / 1e9,
    };
  } finally {
    await session.close();
  }
}
