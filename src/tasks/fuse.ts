/** An adapter merged into its model: the job of `lors fuse`. */
import type { Given, OptionTable } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { loadAdapter } from '../io/adapter.ts';
import { loadGrids, saveGrids } from '../io/grid.ts';
import { loadModel, saveModel } from '../io/model.ts';
import { kernelModule } from '../io/kernelModule.ts';
import { fuseAdapter } from '../models/adapter.ts';
import { shapesOf } from '../models/grids.ts';
import type { LlamaModel } from '../models/model.ts';
import { COMMON } from './commonOptions.ts';

export const FUSE_OPTIONS = {
  model: COMMON.model,
  adapter: { kind: 'text', required: true, help: 'adapter directory' },
  out: { kind: 'text', required: true, help: 'directory for the fused model' },
  dtype: {
    kind: ['keep', 'F32', 'F16', 'BF16'],
    default: 'keep',
    help: 'element type of the weights; keep rounds to what they had, F32 rounds nothing',
  },
  kernels: COMMON.kernels,
  overwrite: COMMON.overwrite,
} as const satisfies OptionTable;

/** Fuses and saves, the tokenizer and, where the weights are on one, the grid beside it. Returns the fused model. Throws as loading does, and where the adapter is another model's. */
export function fuse(options: Given<typeof FUSE_OPTIONS>): LlamaModel {
  const settings = resolveOptions(FUSE_OPTIONS, options);
  const dtype = settings.dtype === 'keep' ? undefined : settings.dtype;
  const adapter = loadAdapter(settings.adapter);
  const { module, flavour } = kernelModule(settings.kernels);
  const fused = fuseAdapter(loadModel(settings.model, undefined, flavour), adapter, module, dtype);
  saveModel(fused, settings.out, { dtype, copyFrom: settings.model, existing: settings.overwrite ? 'allow' : 'refuse' });
  const grids = [...adapter.modules].flatMap(([name, { grid }]) => (grid ? [[name, grid] as const] : []));
  // Projections without an adapter are where they were on the base's.
  if (grids.length > 0) saveGrids(settings.out, new Map([...loadGrids(settings.model, shapesOf(fused)), ...grids]));
  return fused;
}
