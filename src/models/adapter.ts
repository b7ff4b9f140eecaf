/** Adapters and models together: does one belong to the other, what trains, what the fused weights are. */
import type { Adapter } from '../adapters/adapter.ts';
import { scalingOf } from '../adapters/adapter.ts';
import { addFactors } from '../adapters/factors.ts';
import { ruleOf } from '../adapters/methods.ts';
import { WeightOps } from '../adapters/weightOps.ts';
import type { WeightDtype } from '../core/dtypes.ts';
import { FormatError, explain } from '../core/errors.ts';
import { ParameterStore } from '../program/parameters.ts';
import { ProgramBuilder } from '../program/program.ts';
import { Arena } from '../runtime/arena.ts';
import { LocalSession } from '../runtime/local.ts';
import { pack, unpack } from '../sparse/pack.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { encodeKept, withValues } from './fuse.ts';
import type { AdapterTraining } from './llama.ts';
import type { LlamaModel } from './model.ts';
import { patternFingerprint } from './model.ts';

/** Throws FormatError where an adapter was trained on another model: another module, shape or mask. */
export function checkAdapter(model: LlamaModel, adapter: Adapter): void {
  const { patternFingerprint: expected, baseModel, method } = adapter.config;
  const hint = `It was trained on ${baseModel || 'an unnamed model'}.`;
  for (const [name, { inFeatures, outFeatures }] of adapter.modules) {
    const weight = model.linears.get(name);
    if (!weight)
      throw new FormatError(explain(`adapter for another model: ${name}`, `a module of ${model.name}`, 'none of that name', hint));
    if (weight.rows !== outFeatures || weight.cols !== inFeatures) {
      throw new FormatError(
        explain(
          `adapter for another model: ${name}`,
          `factors for ${weight.rows} x ${weight.cols}`,
          `${outFeatures} x ${inFeatures}`,
          hint,
        ),
      );
    }
  }
  if (!ruleOf(method).keepsZeros || expected === undefined) return;
  const got = patternFingerprint(model);
  if (got !== expected) {
    throw new FormatError(
      explain('adapter for another model', `the mask that it was trained in (${expected})`, `${got} in ${model.name}`, hint),
    );
  }
}

/** An adapter as what trains (or only runs, where no gradient is asked for). */
export function trainingOf(adapter: Adapter): AdapterTraining {
  const { method, alpha, rank, rslora } = adapter.config;
  return { method, scaling: scalingOf(alpha, rank, rslora), factors: adapter.modules };
}

/**
 * The model with its adapter merged, by the kernels that training uses. Zeros stay zero; with plain LoRA the update is
 * dense and they do not. Values keep the weight's element type unless `dtype` says otherwise; on a grid they are F32.
 * `memory` is the kind that the kernels were built for.
 */
export function fuseAdapter(
  model: LlamaModel,
  adapter: Adapter,
  module: WebAssembly.Module,
  dtype?: WeightDtype,
  memory: 'local' | 'shared' = 'local',
): LlamaModel {
  checkAdapter(model, adapter);
  const { method, alpha, rank, rslora, groupSize } = adapter.config;
  if (groupSize !== undefined && dtype !== undefined && dtype !== 'F32')
    throw new RangeError(explain('--dtype', 'keep or F32, which alone holds every point of the grid', dtype));
  const rule = ruleOf(method);
  const linears = new Map<string, PackedWeight>();
  for (const [name, factors] of adapter.modules) {
    const sparse = model.linears.get(name)!;
    const weight = rule.keepsZeros
      ? sparse
      : pack(sparse.dtype, unpack(sparse, sparse.values), sparse.rows, sparse.cols, { format: 'dense' });
    const { rows, cols } = weight;
    // Of the whole rank, where a module has fewer (NLS).
    const scaling = scalingOf(alpha, rank, rslora);
    const added = addFactors(new ParameterStore(), name, cols, rows, scaling, factors, { upShape: rule.upShape });
    const b = new ProgramBuilder('merge', 0);
    const merged = rule.linear(name, new WeightOps(name, weight), added, {}).merged(b);
    const session = new LocalSession([b.finish()], { module, arena: new Arena(memory === 'shared') });
    session.run('merge', { tokens: 0, tiles: 0, labelled: 0, labelTiles: 0 });
    // On a grid 0 is a point as good as any, and f32 alone holds them all.
    const values = session.floats(merged).slice();
    linears.set(name, factors.grid ? { ...weight, dtype: 'F32', values } : encodeKept(weight, values, dtype ?? weight.dtype));
  }
  return withValues(model, { linears });
}
