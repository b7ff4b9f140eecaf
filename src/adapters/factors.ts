/**
 * The low-rank factors of an adapter, by role: update = scaling * up * down, up (out x rank), down (rank x in).
 *
 *   here          LoRA paper, PEFT   LoRS paper
 *   down          A, lora_A          B
 *   up            B, lora_B          A
 *
 * In the arena both stand with the rank as the fastest axis, padded by zeros to a multiple of 4: up [out][r], and down
 * transposed, downT [in][r]. The padding stays zero: its gradients are products of zeros. An `up` of one number a row
 * stands as it is.
 */
import type { ParameterStore, Parameter } from '../program/parameters.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import { at } from '../program/value.ts';
import type { Grid } from '../quant/grid.ts';

/** Whether `up` is [outFeatures, rank], as that of nearly all methods, or one number a row: [outFeatures, 1]. */
export type UpShape = 'rank' | 'one';

/** The factors of one linear layer as people exchange them: row-major, unpadded. */
export interface FactorTensors {
  readonly rank: number;
  /** [rank, inFeatures] */
  readonly down: Float32Array;
  /** [outFeatures, rank], or [outFeatures, 1]. */
  readonly up: Float32Array;
  /** What the merged weight is rounded to, where the method does that (QA-SparsePEFT). */
  readonly grid?: Grid | undefined;
}

/** With the sizes of the layer. */
export interface AdapterModule extends FactorTensors {
  readonly inFeatures: number;
  readonly outFeatures: number;
}

export interface Factors {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly upShape: UpShape;
  readonly rank: number;
  /** The rank with its padding. */
  readonly padded: number;
  readonly scaling: number;
  readonly up: Parameter;
  readonly downT: Parameter;
  readonly grid?: Grid | undefined;
  /** [padded] f32, written by the host: 1 for the ranks that take part, 0 for those that do not. All do when absent. */
  readonly gate?: Value | undefined;
}

/** The parts that not every layer has. */
export interface FactorExtras {
  readonly upShape?: UpShape;
  readonly gate?: Value | undefined;
}

/** The rank with its padding to whole vectors. */
export function paddedRank(rank: number): number {
  return Math.ceil(rank / 4) * 4;
}

/** Adds the factors of a layer to the trained parameters. */
export function addFactors(
  store: ParameterStore,
  name: string,
  inFeatures: number,
  outFeatures: number,
  scaling: number,
  initial: FactorTensors,
  { upShape = 'rank', gate }: FactorExtras = {},
): Factors {
  const { rank, grid } = initial;
  const padded = paddedRank(rank);
  const up =
    upShape === 'one'
      ? store.decayed.add(`${name}.lora.up`, outFeatures, (into) => into.set(initial.up))
      : store.decayed.add(`${name}.lora.up`, outFeatures * padded, (into) => padUp(into, initial.up, rank, padded));
  const downT = store.decayed.add(`${name}.lora.down`, inFeatures * padded, (into) => padDown(into, initial.down, rank, padded));
  return { name, inFeatures, outFeatures, upShape, rank, padded, scaling, up, downT, grid, gate };
}

/**
 * The factors as a layer computes with them: where they have a gate, copies with the ranks left out at zero, made for each
 * use. With those copies in the place of the factors every gradient of a rank that is left out is zero, too.
 */
export function live(b: ProgramBuilder, factors: Factors): Factors {
  const { gate, up, downT, padded: rank, inFeatures, outFeatures } = factors;
  if (!gate) return factors;
  const gated = (what: string, of: Parameter, rows: number): Parameter => {
    const copy = b.scratch(what, rows * rank * 4);
    b.emit('gateRanks', rows, { gated: copy, factor: of.value, gate, rank });
    return { ...of, value: at(copy, 0) };
  };
  return { ...factors, up: gated('gated up', up, outFeatures), downT: gated('gated down', downT, inFeatures) };
}

/** The factors, or their gradients, as people exchange them: copies. `read` gives a parameter's numbers, in the arena's layout. */
export function moduleOf(factors: Factors, read: (parameter: Parameter) => Float32Array): AdapterModule {
  const { inFeatures, outFeatures, upShape, rank, padded } = factors;
  return {
    rank,
    inFeatures,
    outFeatures,
    up: upShape === 'one' ? read(factors.up).slice() : unpadUp(read(factors.up), outFeatures, rank, padded),
    down: unpadDown(read(factors.downT), inFeatures, rank, padded),
    grid: factors.grid,
  };
}

/** Columns of `up` in files and in memory: its shape is [outFeatures, columns]. */
export function upColumns(shape: UpShape, rank: number): number {
  return shape === 'one' ? 1 : rank;
}

/** up [out, rank] -> [out][padded], whose padding is zero already. */
export function padUp(to: Float32Array, up: Float32Array, rank: number, padded: number): void {
  for (let i = 0; i * padded < to.length; i++) to.set(up.subarray(i * rank, (i + 1) * rank), i * padded);
}

/** down [rank, in] -> downT [in][padded], whose padding is zero already. */
export function padDown(to: Float32Array, down: Float32Array, rank: number, padded: number): void {
  const inFeatures = to.length / padded;
  for (let k = 0; k < rank; k++) for (let j = 0; j < inFeatures; j++) to[j * padded + k] = down[k * inFeatures + j]!;
}

/** up [out][padded] -> [out, rank]. */
export function unpadUp(up: Float32Array, outFeatures: number, rank: number, padded: number): Float32Array {
  const out = new Float32Array(outFeatures * rank);
  for (let i = 0; i < outFeatures; i++) out.set(up.subarray(i * padded, i * padded + rank), i * rank);
  return out;
}

/** downT [in][padded] -> [rank, in]. */
export function unpadDown(downT: Float32Array, inFeatures: number, rank: number, padded: number): Float32Array {
  const out = new Float32Array(inFeatures * rank);
  for (let k = 0; k < rank; k++) for (let j = 0; j < inFeatures; j++) out[k * inFeatures + j] = downT[j * padded + k]!;
  return out;
}

/** The sub-adapter of the first ranks: the first rows of down, the first columns of up. */
export function firstRanks(module: AdapterModule, rank: number): AdapterModule {
  const { inFeatures, outFeatures, rank: all } = module;
  const up = new Float32Array(outFeatures * rank);
  for (let i = 0; i < outFeatures; i++) up.set(module.up.subarray(i * all, i * all + rank), i * rank);
  return { ...module, rank, up, down: module.down.slice(0, rank * inFeatures) };
}
