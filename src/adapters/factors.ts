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

/** Whether `up` is [outFeatures, rank], as that of nearly all methods, or one number a row: [outFeatures, 1]. */
export type UpShape = 'rank' | 'one';

/** The factors of one linear layer as people exchange them: row-major, unpadded. */
export interface FactorTensors {
  readonly rank: number;
  /** [rank, inFeatures] */
  readonly down: Float32Array;
  /** [outFeatures, rank], or [outFeatures, 1]. */
  readonly up: Float32Array;
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
}

/** Adds the factors of a layer to the trained parameters. */
export function addFactors(
  store: ParameterStore,
  name: string,
  inFeatures: number,
  outFeatures: number,
  scaling: number,
  initial: FactorTensors,
  upShape: UpShape = 'rank',
): Factors {
  const { rank } = initial;
  const padded = Math.ceil(rank / 4) * 4;
  const up =
    upShape === 'one'
      ? store.decayed.add(`${name}.lora.up`, outFeatures, () => initial.up)
      : store.decayed.add(`${name}.lora.up`, outFeatures * padded, () => padUp(initial.up, outFeatures, rank, padded));
  const downT = store.decayed.add(`${name}.lora.down`, inFeatures * padded, () => padDown(initial.down, inFeatures, rank, padded));
  return { name, inFeatures, outFeatures, upShape, rank, padded, scaling, up, downT };
}

/** The factors, or their gradients, as people exchange them; `read` gives a parameter's numbers, in the arena's layout. */
export function moduleOf(factors: Factors, read: (parameter: Parameter) => Float32Array): AdapterModule {
  const { inFeatures, outFeatures, upShape, rank, padded } = factors;
  return {
    rank,
    inFeatures,
    outFeatures,
    up: upShape === 'one' ? read(factors.up) : unpadUp(read(factors.up), outFeatures, rank, padded),
    down: unpadDown(read(factors.downT), inFeatures, rank, padded),
  };
}

/** Columns of `up` in files and in memory: its shape is [outFeatures, columns]. */
export function upColumns(shape: UpShape, rank: number): number {
  return shape === 'one' ? 1 : rank;
}

/** up [out, rank] -> [out][padded]. */
export function padUp(up: Float32Array, outFeatures: number, rank: number, padded: number): Float32Array {
  const out = new Float32Array(outFeatures * padded);
  for (let i = 0; i < outFeatures; i++) out.set(up.subarray(i * rank, (i + 1) * rank), i * padded);
  return out;
}

/** down [rank, in] -> downT [in][padded]. */
export function padDown(down: Float32Array, inFeatures: number, rank: number, padded: number): Float32Array {
  const out = new Float32Array(inFeatures * padded);
  for (let k = 0; k < rank; k++) for (let j = 0; j < inFeatures; j++) out[j * padded + k] = down[k * inFeatures + j]!;
  return out;
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
