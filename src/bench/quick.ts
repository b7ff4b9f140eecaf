/** What `lors bench --quick` measures; a page of the browser, which has neither options nor files, measures the same. */
import { explain } from '../core/errors.ts';
import { checkFits, parsePatterns } from './patterns.ts';
import type { BenchPlan } from './run.ts';
import { parseMatrix } from './shapes.ts';

export const QUICK = {
  patterns: ['dense', '2:4', '1:4', 'csr50', 'csr70', 'csr90', 'block'],
  ops: ['spmm', 'spmmT', 'step'],
  shapes: ['1536x576'],
  tokens: [1, 512],
  seconds: 12,
} as const;

/** Rank of the adapter when nothing is said. */
export const RANK = 16;

/** Rounds that a group has at least and at most. */
export const ROUNDS = { leastRounds: 5, mostRounds: 100 } as const;

/** The plan of --quick on one thread. `seconds` are those of a group: a number of tokens. Throws RangeError for a shape that is none. */
export function quickPlan(flavour: string, seconds: number = QUICK.seconds, matrix: string = QUICK.shapes[0]): BenchPlan {
  const shape = parseMatrix(matrix);
  if (!shape) throw new RangeError(explain('matrix', 'one such as 1536x576 (outputs x inputs)', matrix));
  const patterns = parsePatterns(QUICK.patterns);
  for (const pattern of patterns) checkFits(pattern, shape);
  return {
    patterns,
    ops: QUICK.ops,
    shapes: [shape],
    tokens: QUICK.tokens,
    threads: [1],
    flavours: [flavour],
    rank: RANK,
    effort: { seconds, ...ROUNDS },
  };
}
