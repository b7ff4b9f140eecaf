/** Grids from and to model directories: a file of their own beside the weights. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Grid } from '../quant/grid.ts';
import { SCALE, gridJson, gridTensors, readGrid, readGridJson } from './gridFormat.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

/** The grids of a model directory. */
export const GRID_FILE = 'quantization_grid.safetensors';

/** Writes the grids of a model, by module name, into its directory. Throws OutputError. */
export function saveGrids(directory: string, grids: ReadonlyMap<string, Grid>): void {
  const size = [...grids.values()][0]!.size;
  const metadata = Object.fromEntries(Object.entries(gridJson(size)).map(([name, value]) => [name, String(value)]));
  writeSafetensors(
    join(directory, GRID_FILE),
    [...grids].flatMap(([name, grid]) => gridTensors(name, grid)),
    metadata,
  );
}

/** The grids that a model directory has, of modules of these shapes. Throws FormatError where one is none, or another's. */
export function loadGrids(directory: string, shapes: Iterable<readonly [module: string, rows: number, cols: number]>): Map<string, Grid> {
  const path = join(directory, GRID_FILE);
  if (!existsSync(path)) return new Map();
  const file = openSafetensors(path);
  try {
    const size = readGridJson(file.metadata, path);
    const own = [...shapes].filter(([module]) => file.tensors.has(`${module}.${SCALE}`));
    return new Map(own.map(([module, rows, cols]) => [module, readGrid(file, path, module, rows, cols, size)]));
  } finally {
    file.close();
  }
}
