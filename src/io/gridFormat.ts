/**
 * Grids as tensors, under the names of compressed-tensors: `<module>.weight_scale` [rows, groups] F32 and
 * `<module>.weight_zero_point` [rows, groups] U8. A model whose weights are on a grid is an ordinary directory of dense F32
 * tensors, which every reader of such knows, with the grid in a file of its own beside them: n = w / scale + zero, exactly,
 * so that any INT4 format can be packed from it.
 */
import { bytesOf } from '../core/constant.ts';
import { FormatError, UnsupportedError, explain } from '../core/errors.ts';
import type { Grid } from '../quant/grid.ts';
import { BITS, LEVELS, checkSize, groupsOf } from '../quant/grid.ts';
import type { Safetensors, TensorToWrite } from './safetensorsFormat.ts';

export const SCALE = 'weight_scale';
export const ZERO = 'weight_zero_point';

/** The tensors of one grid. */
export function gridTensors(module: string, grid: Grid): TensorToWrite[] {
  const shape = [grid.rows, groupsOf(grid)];
  return [
    { name: `${module}.${SCALE}`, dtype: 'F32', shape, data: bytesOf(grid.scales) },
    { name: `${module}.${ZERO}`, dtype: 'U8', shape, data: () => Uint8Array.from(grid.zeros) },
  ];
}

/** Reads the grid of a module of `rows` x `cols`. Throws FormatError where it is none, or another's. */
export function readGrid(file: Safetensors, where: string, module: string, rows: number, cols: number, size: number): Grid {
  const groups = groupsOf({ cols, size });
  const read = (name: string, dtype: string): Uint8Array => {
    const info = file.tensors.get(`${module}.${name}`);
    const [got, expected] = [info ? `${info.dtype} [${info.shape.join(', ')}]` : 'none', `${dtype} [${rows}, ${groups}]`];
    if (got !== expected) throw new FormatError(explain(`${where}: ${module}.${name}`, expected, got));
    return file.read(`${module}.${name}`);
  };
  const scales = new Float32Array(read(SCALE, 'F32').buffer);
  const zeros = Float32Array.from(read(ZERO, 'U8'));
  const bad = scales.findIndex((scale, i) => !(scale > 0 && scale < Infinity) || zeros[i]! > LEVELS);
  if (bad >= 0) {
    const got = `${scales[bad]} and ${zeros[bad]} in group ${bad}`;
    throw new FormatError(explain(`${where}: ${module}`, `scales above 0 and zero points of at most ${LEVELS}`, got));
  }
  return { rows, cols, size, scales, zeros };
}

/** What files say of a grid beside its tensors. */
export function gridJson(size: number): { bits: number; group_size: number } {
  return { bits: BITS, group_size: size };
}

/** The group size of what `gridJson` wrote. Throws FormatError or UnsupportedError. */
export function readGridJson(json: Readonly<Record<string, unknown>>, where: string): number {
  if (Number(json['bits']) !== BITS) throw new UnsupportedError(explain(`${where}: bits`, `${BITS}`, JSON.stringify(json['bits'])));
  const size = Number(json['group_size']);
  try {
    checkSize(size);
  } catch {
    throw new FormatError(explain(`${where}: group_size`, 'a multiple of 4', JSON.stringify(json['group_size'])));
  }
  return size;
}
