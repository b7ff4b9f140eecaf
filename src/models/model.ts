/** A Llama in memory: packed weights by module name. The zeros of the checkpoint are the mask. */
import { bytesOf } from '../core/constant.ts';
import type { WeightArray, WeightDtype } from '../core/dtypes.ts';
import { DTYPE_BYTES, decodeWeights, encodeWeights } from '../core/dtypes.ts';
import { FormatError, UnsupportedError, explain } from '../core/errors.ts';
import type { PackedFor } from '../core/flavour.ts';
import type { Room } from '../core/room.ts';
import type { TensorSource } from '../core/tensorSource.ts';
import { Fingerprint, addPattern } from '../sparse/fingerprint.ts';
import { keepMaskOf, pack, packDense, unpack } from '../sparse/pack.ts';
import type { DenseWeight, PackedWeight } from '../sparse/weight.ts';
import type { LlamaConfig } from './config.ts';
import { EMBEDDING, FINAL_NORM, HEAD, PROJECTIONS, normName, projectionName, projectionShape } from './names.ts';

/** A norm's gain with the element type that it was stored in. */
export interface Gain {
  readonly dtype: WeightDtype;
  readonly values: Float32Array;
}

export interface LlamaModel {
  /** Where it came from, for messages. */
  readonly name: string;
  readonly config: LlamaConfig;
  /** Projections of the blocks, by module name. */
  readonly linears: ReadonlyMap<string, PackedWeight>;
  readonly gains: ReadonlyMap<string, Gain>;
  readonly embedding: DenseWeight;
  /** Absent where the head is the embedding. */
  readonly head: DenseWeight | undefined;
}

/** Where packed weights go as they are read. */
export interface WeightHome {
  /** A projection's weight, its arrays where they will stay. */
  linear(name: string, weight: PackedWeight): PackedWeight;
  /** The embedding or the head. */
  table(weight: DenseWeight): DenseWeight;
  /**
   * Where a weight is read and packed: what stands there is gone once the weight has come home, so a home of one's own that keeps arrays as
   * they come must not have it from another. The host's heap when absent.
   */
  readonly room?: Room;
}

/** Arrays stay as packing made them. */
const AS_PACKED: WeightHome = { linear: (_name, weight) => weight, table: (weight) => weight };

/** Reads and checks every tensor. Throws FormatError or UnsupportedError naming the tensor. */
export function readModel(source: TensorSource, config: LlamaConfig, home = AS_PACKED, packedFor?: PackedFor): LlamaModel {
  const builder = new ModelBuilder(source, config, home, packedFor);
  for (const name of builder.wanted) builder.add(name, source.read(name, home.room));
  return builder.finish();
}

/** What is known of tensors before their bytes are there. */
export type TensorList = Pick<TensorSource, 'name' | 'info'>;

/** A model whose tensors come in any order, as they do from a stream; each is packed when it comes. */
export class ModelBuilder {
  /** Every tensor that the model is made of, by its name in the checkpoint, in the order in which they are best added. */
  readonly wanted: readonly string[];
  readonly #list: TensorList;
  readonly #config: LlamaConfig;
  readonly #home: WeightHome;
  readonly #packedFor: PackedFor | undefined;
  readonly #tied: boolean;
  readonly #linears = new Map<string, PackedWeight>();
  readonly #gains = new Map<string, Gain>();
  readonly #tables = new Map<string, DenseWeight>();

  /**
   * Checks all that can be without the bytes; `packedFor` says which kernels the weights are for. Throws FormatError or UnsupportedError
   * naming the tensor.
   */
  constructor(list: TensorList, config: LlamaConfig, home = AS_PACKED, packedFor?: PackedFor) {
    this.#list = list;
    this.#config = config;
    this.#home = home;
    this.#packedFor = packedFor;
    this.#tied = config.tied;
    const modules = [...expectedModules(config)];
    for (const [name, shape] of modules) {
      if (list.info(`${name}.bias`))
        throw new UnsupportedError(explain(`${list.name}: ${name}`, 'a projection without bias', 'one with a bias'));
      if (name === EMBEDDING || name === HEAD) checkTable(list, name, config);
      checkWeight(list, name, shape);
    }
    this.wanted = modules.map(([name]) => `${name}.weight`);
  }

  /** Takes one of the wanted tensors: its raw bytes, aligned to its elements. Throws FormatError where they are not finite numbers. */
  add(tensor: string, bytes: Uint8Array): void {
    const name = tensor.slice(0, -'.weight'.length);
    const [rows, cols] = this.#list.info(tensor)!.shape as [number, number?];
    const { dtype, elements } = checkedElements(this.#list, name, bytes);
    const { room } = this.#home;
    if (cols === undefined) this.#gains.set(name, { dtype, values: decodeWeights(dtype, elements) });
    else if (name === EMBEDDING || name === HEAD) this.#tables.set(name, this.#home.table(packDense(dtype, elements, rows, cols, room)));
    else this.#linears.set(name, this.#home.linear(name, pack(dtype, elements, rows, cols, { packedFor: this.#packedFor, room })));
  }

  /** The model, once every wanted tensor was added. */
  finish(): LlamaModel {
    const linears = new Map<string, PackedWeight>();
    const gains = new Map<string, Gain>();
    for (const [name] of expectedModules(this.#config)) {
      const [weight, gain] = [this.#linears.get(name), this.#gains.get(name)];
      if (weight) linears.set(name, weight);
      if (gain) gains.set(name, gain);
    }
    const head = this.#tied ? undefined : this.#tables.get(HEAD)!;
    return { name: this.#list.name, config: this.#config, linears, gains, embedding: this.#tables.get(EMBEDDING)!, head };
  }
}

/** Modules that have a weight, with its shape. The largest first: while one is packed there are up to three copies of it. */
function* expectedModules(config: LlamaConfig): Generator<[name: string, shape: readonly number[]]> {
  const { layers, hiddenSize, vocabSize, tied } = config;
  yield [EMBEDDING, [vocabSize, hiddenSize]];
  if (!tied) yield [HEAD, [vocabSize, hiddenSize]];
  for (let layer = 0; layer < layers; layer++) {
    for (const projection of PROJECTIONS) yield [projectionName(layer, projection), projectionShape(config, projection)];
    yield [normName(layer, 'input_layernorm'), [hiddenSize]];
    yield [normName(layer, 'post_attention_layernorm'), [hiddenSize]];
  }
  yield [FINAL_NORM, [hiddenSize]];
}

function checkTable(list: TensorList, name: string, config: LlamaConfig): void {
  const info = list.info(`${name}.weight`);
  if (!info && name === HEAD)
    throw new FormatError(explain(`${list.name}: ${HEAD}.weight`, 'a tensor (tie_word_embeddings is not true)', 'none'));
  const rows = info?.shape[0] ?? 0;
  if (info && rows < config.vocabSize) {
    throw new FormatError(
      explain(`${list.name}: vocabulary`, `at most the ${rows} rows of ${name}.weight`, `vocab_size ${config.vocabSize} in config.json`),
    );
  }
}

/** Reads one matrix or vector and checks it; `module` is its name without `.weight`. */
export function readWeight(
  source: TensorSource,
  module: string,
  shape: readonly number[],
  room?: Room,
): { dtype: WeightDtype; elements: WeightArray } {
  checkWeight(source, module, shape);
  return checkedElements(source, module, source.read(`${module}.weight`, room));
}

function checkWeight(list: TensorList, module: string, shape: readonly number[]): void {
  const name = `${module}.weight`;
  const info = list.info(name);
  if (!info) throw new FormatError(explain(`${list.name}: ${name}`, `a tensor of shape [${shape.join(', ')}]`, 'none'));
  const { dtype } = info;
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') {
    throw new UnsupportedError(explain(`${list.name}: ${name}`, 'F32, F16 or BF16', dtype));
  }
  if (info.shape.length !== shape.length || info.shape.some((n, i) => n !== shape[i])) {
    throw new FormatError(
      explain(
        `${list.name}: ${name}`,
        `shape [${shape.join(', ')}] from config.json`,
        `[${info.shape.join(', ')}]`,
        'Does config.json belong to these weights?',
      ),
    );
  }
}

function checkedElements(list: TensorList, module: string, bytes: Uint8Array): { dtype: WeightDtype; elements: WeightArray } {
  const name = `${module}.weight`;
  const dtype = list.info(name)!.dtype as WeightDtype;
  const length = bytes.byteLength / DTYPE_BYTES[dtype];
  const elements =
    dtype === 'F32' ? new Float32Array(bytes.buffer, bytes.byteOffset, length) : new Uint16Array(bytes.buffer, bytes.byteOffset, length);
  const bad = firstNonFinite(dtype, elements);
  if (bad >= 0) throw new FormatError(explain(`${list.name}: ${name}`, 'finite numbers', `NaN or infinity at element ${bad}`));
  return { dtype, elements };
}

/** The first element whose exponent is all ones; -1 where there is none. */
function firstNonFinite(dtype: WeightDtype, elements: WeightArray): number {
  const bits = dtype === 'F32' ? new Uint32Array(elements.buffer, elements.byteOffset, elements.length) : elements;
  const exponent = dtype === 'F32' ? 0x7f800000 : dtype === 'BF16' ? 0x7f80 : 0x7c00;
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & exponent) === exponent) return i;
  return -1;
}

/** A tensor to be written, in the layout of checkpoints. */
export interface WrittenTensor {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  readonly data: () => Uint8Array;
}

/** Every tensor of a model, unpacked one at a time. */
export function* modelTensors(model: LlamaModel): Generator<WrittenTensor> {
  const matrix = (name: string, w: PackedWeight): WrittenTensor => ({
    name: `${name}.weight`,
    dtype: w.dtype,
    shape: [w.rows, w.cols],
    data: () => bytesOf(unpack(w, w.values)),
  });
  yield matrix(EMBEDDING, model.embedding);
  for (const [name, weight] of model.linears) yield matrix(name, weight);
  for (const [name, { dtype, values }] of model.gains) {
    yield { name: `${name}.weight`, dtype, shape: [values.length], data: () => bytesOf(encodeWeights(dtype, values)) };
  }
  if (model.head) yield matrix(HEAD, model.head);
}

/** A short name for the masks of all blocks together: which sparse model an adapter belongs to. */
export function patternFingerprint(model: LlamaModel): string {
  const fingerprint = new Fingerprint();
  for (const weight of model.linears.values()) addPattern(fingerprint, weight, keepMaskOf(weight));
  return fingerprint.digest();
}

/** A short name for a model, whose masks have that of patternFingerprint: every value and what its config says. */
export function modelFingerprint(model: LlamaModel, masks = patternFingerprint(model)): string {
  const fingerprint = new Fingerprint();
  fingerprint.addBytes(new TextEncoder().encode(JSON.stringify(model.config)));
  const { linears, gains, embedding, head } = model;
  for (const { values } of [...linears.values(), ...gains.values(), embedding, ...(head ? [head] : [])])
    fingerprint.addBytes(bytesOf(values));
  return `${masks}-${fingerprint.digest()}`;
}

/** The model with its projections left where they are and fetched into the arena for each use: one copy of them, not two. */
export function stagedModel(model: LlamaModel): LlamaModel {
  return { ...model, linears: new Map([...model.linears].map(([name, weight]) => [name, { ...weight, staged: true }])) };
}
