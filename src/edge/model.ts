/** Models from and to bytes: config.json and safetensors, each tensor packed when it arrives, so that no two copies of a model exist. */
import type { WeightDtype } from '../core/dtypes.ts';
import { FormatError, explain } from '../core/errors.ts';
import type { PackedFor } from '../core/flavour.ts';
import type { TensorInfo } from '../core/tensorSource.ts';
import type { SafetensorsStream } from '../io/safetensorsStream.ts';
import { openSafetensorsStream } from '../io/safetensorsStream.ts';
import { encodeSafetensors, safetensorsParts, tensorBytes } from '../io/safetensorsFormat.ts';
import { probeFlavour } from '../kernels/load.ts';
import { parseConfig } from '../models/config.ts';
import { castModel, configOf } from '../models/fuse.ts';
import type { LlamaModel, WeightHome } from '../models/model.ts';
import { ModelBuilder, modelTensors } from '../models/model.ts';
import { EMBEDDING, HEAD } from '../models/names.ts';
import { packedBytes } from '../sparse/weight.ts';
import type { BytesSource, JsonSource } from './bytes.ts';
import { ByteReader, readJsonSource } from './bytes.ts';
import { loadingParts, requireRoom } from './memory.ts';

/** A Hugging Face Llama. */
export interface ModelFiles {
  /** For messages, and what an adapter names as its base; `model` when absent. */
  readonly name?: string;
  /** config.json */
  readonly config: JsonSource;
  /** model.safetensors, or all its shards, in any order. */
  readonly weights: BytesSource | readonly BytesSource[];
}

/** A model as bytes: what `ModelFiles` takes. */
export interface ModelBytes {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Uint8Array<ArrayBuffer>;
}

export interface LoadOptions {
  /** Most bytes that may be taken; refused as soon as the headers, or what was packed so far, say that it is not enough. */
  readonly memoryBytes?: number | undefined;
  /**
   * The kernels that will run it, which its weights are packed for; the faster that the host validates when absent. `one token` is for a
   * model that only generates: twice as fast with 2:4 weights of 16 bits, which take two fifths more memory. Nothing that keeps its mask
   * can be trained on it.
   */
  readonly kernels?: PackedFor | undefined;
}

/** Loads a model; the zeros of its weights are their mask. Throws FormatError, UnsupportedError or MemoryBudgetError. */
export async function loadModel(files: ModelFiles, { memoryBytes, kernels = probeFlavour() }: LoadOptions = {}): Promise<LlamaModel> {
  const name = files.name ?? 'model';
  const config = parseConfig(await readJsonSource(files.config, `${name}: config.json`), `${name}: config.json`);
  const sources = isList(files.weights) ? files.weights : [files.weights];
  const shards: SafetensorsStream[] = [];
  for (const [i, source] of sources.entries()) {
    const file = sources.length === 1 ? 'model.safetensors' : `shard ${i + 1} of ${sources.length}`;
    shards.push(await openSafetensorsStream(new ByteReader(source, `${name}: ${file}`), `${name}: ${file}`));
  }
  const owners = ownersOf(name, shards);
  let packed = 0;
  const counted = <W extends Parameters<typeof packedBytes>[0]>(weight: W): W => {
    packed += packedBytes(weight);
    return weight;
  };
  const home: WeightHome = { linear: (_name, weight) => counted(weight), table: counted };
  const builder = new ModelBuilder({ name, info: (tensor) => owners.get(tensor) }, config, home, kernels);
  const bytesOf = (tensor: string): number => tensorBytes(owners.get(tensor)!.dtype, owners.get(tensor)!.shape);
  // Tables stay as large as they are, whatever is pruned.
  const tables = builder.wanted.filter((tensor) => tensor.startsWith(EMBEDDING) || tensor.startsWith(HEAD));
  requireRoom(
    memoryBytes,
    `loading ${name}`,
    loadingParts(
      tables.reduce((n, tensor) => n + bytesOf(tensor), 0),
      0,
    ),
  );

  const wanted = new Set(builder.wanted);
  for (const shard of shards) {
    const read = shard.read((tensor) => {
      if (wanted.has(tensor)) requireRoom(memoryBytes, `loading ${name}`, loadingParts(packed, bytesOf(tensor)));
      return wanted.has(tensor);
    });
    for await (const { tensor, bytes } of read) builder.add(tensor, bytes);
  }
  return builder.finish();
}

function isList(weights: BytesSource | readonly BytesSource[]): weights is readonly BytesSource[] {
  return Array.isArray(weights);
}

function ownersOf(name: string, shards: readonly SafetensorsStream[]): ReadonlyMap<string, TensorInfo> {
  const owners = new Map<string, TensorInfo>();
  for (const shard of shards) {
    for (const [tensor, info] of shard.tensors) {
      if (owners.has(tensor)) throw new FormatError(explain(`${name}: ${tensor}`, 'it in one shard', 'it in two'));
      owners.set(tensor, info);
    }
  }
  return owners;
}

export interface SaveOptions {
  /** Element type of all tensors; each keeps its own when absent. */
  readonly dtype?: WeightDtype | undefined;
}

/** A model as a Hugging Face checkpoint: dense tensors with exact zeros. */
export function saveModel(model: LlamaModel, { dtype }: SaveOptions = {}): ModelBytes {
  const saved = dtype ? castModel(model, dtype) : model;
  return { config: configOf(model, dtype), weights: encodeSafetensors(modelTensors(saved), { format: 'pt' }) };
}

/** The weights of `saveModel` one tensor at a time, for who sends them on: no dense model exists then. */
export function streamModel(model: LlamaModel, { dtype }: SaveOptions = {}): ReadableStream<Uint8Array> {
  const parts = safetensorsParts(modelTensors(dtype ? castModel(model, dtype) : model), { format: 'pt' })[Symbol.iterator]();
  return new ReadableStream({
    pull(controller) {
      const next = parts.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
  });
}
