/** Models and grids: the grid of each projection, and the model whose weights are on them. */
import { bytesOf } from '../core/constant.ts';
import type { PackedFor } from '../core/flavour.ts';
import { decodeWeights } from '../core/dtypes.ts';
import type { Grid } from '../quant/grid.ts';
import { gridOf, snapped } from '../quant/grid.ts';
import { Fingerprint } from '../sparse/fingerprint.ts';
import { pack, unpack } from '../sparse/pack.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { withValues } from './fuse.ts';
import type { LlamaModel } from './model.ts';

/** The elements of a weight, row-major. */
function elementsOf(weight: PackedWeight): Float32Array {
  return decodeWeights(weight.dtype, unpack(weight, weight.values));
}

/** The projections of a model with their shapes. */
export function shapesOf(model: LlamaModel): [module: string, rows: number, cols: number][] {
  return [...model.linears].map(([name, { rows, cols }]) => [name, rows, cols]);
}

/** A short name for grids. */
export function gridsFingerprint(grids: ReadonlyMap<string, Grid>): string {
  const fingerprint = new Fingerprint();
  for (const { size, scales, zeros } of grids.values()) {
    fingerprint.add(size);
    for (const table of [scales, zeros]) fingerprint.addBytes(bytesOf(table));
  }
  return fingerprint.digest();
}

/** A grid for each of these projections, made of its weights. */
export function gridsOf(model: LlamaModel, names: Iterable<string>, size: number): Map<string, Grid> {
  const gridFor = (name: string): Grid => {
    const weight = model.linears.get(name)!;
    return gridOf(elementsOf(weight), weight.rows, weight.cols, size);
  };
  return new Map([...names].map((name) => [name, gridFor(name)]));
}

/**
 * The model with every projection that has a grid on it, in F32, packed for the kernels that `packedFor` says. What a grid rounds to 0 is
 * pruned from then on, as SQFT has it.
 */
export function snapModel(model: LlamaModel, grids: ReadonlyMap<string, Grid>, packedFor?: PackedFor): LlamaModel {
  const snap = (name: string, grid: Grid): PackedWeight => {
    const { rows, cols } = grid;
    return pack('F32', snapped(elementsOf(model.linears.get(name)!), grid), rows, cols, { packedFor });
  };
  return withValues(model, { linears: new Map([...grids].map(([name, grid]) => [name, snap(name, grid)])) });
}
