/**
 * Which format a mask is packed in: a measured table, and not a trial at start-up, since the order of sums follows the format, and
 * runs are to repeat bit for bit.
 */
import type { Flavour, PackedFor } from '../core/flavour.ts';
import { isBlockName } from './block.ts';
import type { PackedWeight } from './weight.ts';

/**
 * A mask that keeps less than this is faster in CSR than in quads, both products and merges together, on kernels of the flavour. As
 * `npm run bench:formats` gave it on Zen 4 with 512 tokens (bench/README.md); between the shapes' own crossings at most 6 % are left.
 */
const CSR_BELOW = { plain: 0.4, relaxed: 0.45, wide: 0.45 } as const satisfies Record<Flavour, number>;

/** Two of every four: quads then have one loop, of the kind that suits them best, and win on every flavour. */
const TWO_OF_FOUR: readonly string[] = ['2:4', '1:2'];

/**
 * The format for a mask's pattern (as patternOf names it) and density. One token takes CSR whatever the mask: quads add to a scattered
 * row for every two weights, which costs more than they save in bytes.
 */
export function chooseFormat(pattern: string, density: number, packedFor: PackedFor): PackedWeight['format'] {
  if (pattern === 'dense') return 'dense';
  if (isBlockName(pattern)) return 'block';
  if (packedFor === 'one token') return 'csr';
  return density < CSR_BELOW[packedFor] && !TWO_OF_FOUR.includes(pattern) ? 'csr' : 'quad';
}
