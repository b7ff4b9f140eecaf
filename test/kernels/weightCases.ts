/** The weights that the sparse kernels are tried on: every mask, in every format that holds it, in awkward shapes. */
import { Random } from '../../src/core/random.ts';
import { pack } from '../../src/sparse/pack.ts';
import type { PackedWeight } from '../../src/sparse/weight.ts';
import { BLOCK_NAMES, isBlockName } from '../../src/sparse/block.ts';
import { MASKS, blockMask, gaussians, integers, masked } from './data.ts';
import { WeightCalls } from './weightCalls.ts';

/**
 * [rows, cols, tiles]. Not multiples of a panel, a group of four, a tile or a CSR block of 256 inputs. Of quads, 512 rows are two whole
 * blocks, 514 three, of which the last has less; 260 and 300 inputs are more than a CSR block. Strips of blocks
 * list in segments of 256, or of 512 inputs, of which 530 have a second one. Dense panels of 256 inputs are copied.
 */
const SHAPES = {
  small: [53, 76, 5],
  odd: [61, 77, 4],
  block: [514, 260, 3],
  blocks: [512, 300, 3],
  wide: [21, 530, 3],
  aliasing: [521, 256, 3],
} as const;

export interface WeightCase {
  readonly name: string;
  readonly calls: WeightCalls;
  /** W as a matrix, zeros where it is pruned. */
  readonly elements: Float32Array<ArrayBuffer>;
  readonly random: Random;
}

const EVERY_SHAPE = [...[SHAPES.small, SHAPES.odd, SHAPES.block, SHAPES.blocks, SHAPES.wide], [2, 5, 3], [16, 16, 3]] as const;

/** Every case; `values` makes the kept values. Small integers may be 0 and are kept all the same. */
export function weightCases(values: 'integers' | 'gaussians'): WeightCase[] {
  const cases: WeightCase[] = [];
  const make = (
    name: string,
    keep: Uint8Array,
    rows: number,
    cols: number,
    tiles: number,
    format: PackedWeight['format'],
    seed: number,
  ): void => {
    const random = new Random(seed);
    const elements = masked(values === 'integers' ? integers(random, rows * cols) : gaussians(random, rows * cols), keep);
    const weight = pack('F32', elements, rows, cols, { keep, format, ...(isBlockName(name) && { block: name }) });
    cases.push({ name: `${format} ${name} ${rows}x${cols}`, calls: new WeightCalls(weight, tiles), elements, random });
  };
  let seed = 1;
  for (const [i, [name, mask]] of Object.entries(MASKS).entries()) {
    // Masks that need a whole block have an even place.
    const large = i % 2 ? SHAPES.block : SHAPES.blocks;
    // Both small shapes, and one of the large ones in turn: what breaks at a block does so whatever the mask.
    for (const [rows, cols, tiles] of [SHAPES.small, SHAPES.odd, large]) {
      const keep = mask(new Random(seed), rows, cols);
      make(name, keep, rows, cols, tiles, 'quad', seed);
      make(name, keep, rows, cols, tiles, 'csr', seed++);
    }
  }
  for (const block of BLOCK_NAMES) {
    for (const [rows, cols, tiles] of EVERY_SHAPE) {
      make(block, blockMask(new Random(seed), rows, cols, block, 0.6), rows, cols, tiles, 'block', seed++);
    }
  }
  for (const [rows, cols, tiles] of [...EVERY_SHAPE, SHAPES.aliasing])
    make('', new Uint8Array(rows * cols).fill(1), rows, cols, tiles, 'dense', seed++);
  return cases;
}
