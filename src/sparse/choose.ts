/**
 * Which format a mask is packed in: a measured table, and not a trial at start-up, since the order of sums follows the format, and
 * runs are to repeat bit for bit.
 */
import type { Flavour } from '../core/flavour.ts';
import { isBlockName } from './block.ts';
import type { PackedWeight } from './weight.ts';

/**
 * A mask that keeps less than this is faster in CSR than in quads, both products and merges together, on kernels of the flavour. As
 * `npm run bench:formats` gave it on Zen 4 with 512 tokens (bench/README.md); what differs by shape is within 2 % of equal there.
 */
const CSR_BELOW = { plain: 0.4, relaxed: 0.45, wide: 0.95 } as const satisfies Record<Flavour, number>;

/** Two of every four: quads then have one loop, of the kind that suits them best, and win on every flavour. */
const TWO_OF_FOUR: readonly string[] = ['2:4', '1:2'];

/** The format for a mask's pattern (as patternOf names it) and density. */
export function chooseFormat(pattern: string, density: number, flavour: Flavour): PackedWeight['format'] {
  if (pattern === 'dense') return 'dense';
  if (isBlockName(pattern)) return 'block';
  return density < CSR_BELOW[flavour] && !TWO_OF_FOUR.includes(pattern) ? 'csr' : 'quad';
}
