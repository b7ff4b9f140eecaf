/** What a model is made of: the job of `lors inspect`. */
import { DTYPE_BYTES } from '../core/dtypes.ts';
import type { Given, OptionTable } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { loadGrids } from '../io/grid.ts';
import { loadModel } from '../io/model.ts';
import { shapesOf } from '../models/grids.ts';
import type { LlamaModel } from '../models/model.ts';
import { EMBEDDING, HEAD } from '../models/names.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { indexBytes } from '../sparse/weight.ts';
import { COMMON } from './commonOptions.ts';
import { formatsOf } from './formats.ts';

export const INSPECT_OPTIONS = {
  model: COMMON.model,
} as const satisfies OptionTable;

export interface LayerReport {
  readonly name: string;
  readonly shape: readonly [rows: number, cols: number];
  readonly dtype: string;
  /** `2:4`, `unstructured`, `dense` ... */
  readonly pattern: string;
  /** Kept / all. */
  readonly density: number;
  /** Bytes packed: values and index. */
  readonly packedBytes: number;
  /** Bytes in the checkpoint. */
  readonly denseBytes: number;
}

export interface ModelReport {
  readonly name: string;
  readonly parameters: number;
  /** Weights of the projections that are not pruned. */
  readonly keptInProjections: number;
  readonly projectionDensity: number;
  readonly packedBytes: number;
  readonly denseBytes: number;
  readonly layers: readonly LayerReport[];
  /** Projections by the format that this host's kernels get them in: `quads (2:4)`, `csr (unstructured 30 %)`. */
  readonly formats: Readonly<Record<string, number>>;
  /** Where projections are on INT4 grids: how many, and the inputs of a group. */
  readonly grid?: { readonly projections: number; readonly groupSize: number };
}

/** Pattern, density and bytes of each matrix of a model directory. */
export function inspect(options: Given<typeof INSPECT_OPTIONS>): ModelReport {
  const { model: directory } = resolveOptions(INSPECT_OPTIONS, options);
  const model = loadModel(directory);
  const grids = [...loadGrids(directory, shapesOf(model)).values()];
  return { ...inspectModel(model), ...(grids[0] && { grid: { projections: grids.length, groupSize: grids[0].size } }) };
}

/** As inspect, of a model in memory. */
export function inspectModel(model: LlamaModel): ModelReport {
  const projections = [...model.linears].map(([name, weight]) => layerReport(name, weight));
  const layers = [layerReport(EMBEDDING, model.embedding), ...projections, ...(model.head ? [layerReport(HEAD, model.head)] : [])];
  const gains = [...model.gains.values()];
  const sum = (of: readonly LayerReport[], value: (layer: LayerReport) => number): number => of.reduce((n, layer) => n + value(layer), 0);
  const size = ({ shape: [rows, cols] }: LayerReport): number => rows * cols;
  const gainSize = gains.reduce((n, gain) => n + gain.values.length, 0);
  const gainBytes = gains.reduce((n, gain) => n + gain.values.length * DTYPE_BYTES[gain.dtype], 0);
  const kept = sum(projections, (layer) => Math.round(layer.density * size(layer)));
  return {
    name: model.name,
    parameters: sum(layers, size) + gainSize,
    keptInProjections: kept,
    projectionDensity: kept / sum(projections, size),
    packedBytes: sum(layers, (layer) => layer.packedBytes) + gainBytes,
    denseBytes: sum(layers, (layer) => layer.denseBytes) + gainBytes,
    layers,
    formats: formatsOf(model),
  };
}

function layerReport(name: string, weight: PackedWeight): LayerReport {
  const { rows, cols, dtype, pattern, kept } = weight;
  return {
    name,
    shape: [rows, cols],
    dtype,
    pattern,
    density: kept / (rows * cols),
    packedBytes: weight.values.byteLength + indexBytes(weight),
    denseBytes: rows * cols * DTYPE_BYTES[dtype],
  };
}
