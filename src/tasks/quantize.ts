/** A model's weights on group-wise INT4 grids: the job of `lors quantize`. */
import type { Given, OptionTable } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { createOutputDirectory } from '../io/atomic.ts';
import { saveGrids } from '../io/grid.ts';
import { loadModel, saveModel } from '../io/model.ts';
import { gridsOf, snapModel } from '../models/grids.ts';
import type { LlamaModel } from '../models/model.ts';
import { GROUP_SIZE } from '../quant/grid.ts';
import { COMMON } from './commonOptions.ts';

export const QUANTIZE_OPTIONS = {
  model: COMMON.model,
  out: { kind: 'text', required: true, help: 'directory for the model on the grid' },
  groupSize: { kind: 'whole', default: GROUP_SIZE, least: 4, help: 'inputs that share a scale and a zero point, a multiple of 4' },
  overwrite: COMMON.overwrite,
} as const satisfies OptionTable;

/**
 * Rounds every projection to the nearest points of a grid made for it, and saves the model, its grid beside it; embedding,
 * head and norms stay as they are. Zeros stay zero. Returns the model. Throws as loading does, RangeError for a group size.
 */
export function quantize(options: Given<typeof QUANTIZE_OPTIONS>): LlamaModel {
  const settings = resolveOptions(QUANTIZE_OPTIONS, options);
  const model = loadModel(settings.model);
  const grids = gridsOf(model, model.linears.keys(), settings.groupSize);
  const takeBack = createOutputDirectory(settings.out, settings.overwrite ? 'allow' : 'refuse');
  try {
    const snapped = snapModel(model, grids);
    saveModel(snapped, settings.out, { copyFrom: settings.model, existing: 'allow' });
    saveGrids(settings.out, grids);
    return snapped;
  } finally {
    takeBack();
  }
}
