/**
 * Which format a mask is packed in: a measured table, and not a trial at start-up, since the order of sums follows the format, and
 * runs are to repeat bit for bit.
 */
import type { WeightDtype } from '../core/dtypes.ts';
import type { Flavour, PackedFor } from '../core/flavour.ts';
import { isBlockName } from './block.ts';
import type { PackedWeight } from './weight.ts';
import { TWO_OF_FOUR } from './weight.ts';

/**
 * A mask that keeps less than this is faster in CSR than in quads, both products and merges together, on kernels of the flavour. As
 * `npm run bench:formats` gave it on Zen 4 with 512 tokens (bench/README.md); between the shapes' own crossings at most 6 % are left.
 */
const CSR_BELOW = { plain: 0.4, relaxed: 0.45, wide: 0.45 } as const satisfies Record<Flavour, number>;

/**
 * From here on one token is faster with the zeros in place, by a quarter and for a third more bytes (`npm run bench:generate`): 16-bit
 * weights are read at memory's speed where every input has its place, and at half of it where each is looked up.
 */
const ONE_TOKEN_DENSE = 0.45;
const ONE_TOKEN_DENSE_F32 = 0.6;

/**
 * The format for a mask's pattern (as patternOf names it), density and element type. One token takes no quads: they add to a scattered
 * row for every two weights, which costs more than they save in bytes.
 */
export function chooseFormat(pattern: string, density: number, packedFor: PackedFor, dtype: WeightDtype): PackedWeight['format'] {
  if (pattern === 'dense') return 'dense';
  if (isBlockName(pattern)) return 'block';
  if (packedFor === 'one token, few bytes') return 'csr';
  if (packedFor === 'one token') return density < (dtype === 'F32' ? ONE_TOKEN_DENSE_F32 : ONE_TOKEN_DENSE) ? 'csr' : 'dense';
  return density < CSR_BELOW[packedFor] && !TWO_OF_FOUR.includes(pattern) ? 'csr' : 'quad';
}
