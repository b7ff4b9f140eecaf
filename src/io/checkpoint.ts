/** Hugging Face model directories: config.json, model.safetensors or shards with an index, and the tokenizer's files. */
import { existsSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError, explain } from '../core/errors.ts';
import type { TensorInfo, TensorSource } from '../core/tensorSource.ts';
import { stageFiles, writeFileAtomic } from './atomic.ts';
import { readJsonObject } from './json.ts';
import type { SafetensorsFile, TensorToWrite } from './safetensors.ts';
import { openSafetensors, tensorBytes, writeSafetensors } from './safetensors.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** What a model directory holds beside its weights, and a copy of it should too. */
const COMPANIONS = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'generation_config.json',
  'chat_template.jinja',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
];
/** Weights of an earlier save: a single file would be read in place of newer shards. */
const WEIGHTS = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;
/** Bytes of a shard, as transformers writes them by default. */
const SHARD_BYTES = 5e9;

/** Opens the weights of a model directory. Throws FormatError. */
export function openCheckpoint(directory: string): TensorSource {
  if (!existsSync(directory) || !statSync(directory).isDirectory()) {
    throw new FormatError(
      explain(
        `model ${directory}`,
        'a directory with config.json and model.safetensors',
        existsSync(directory) ? 'a file' : 'nothing there',
      ),
    );
  }
  const single = join(directory, SINGLE);
  if (existsSync(single)) {
    const file = openSafetensors(single);
    return sourceOf(directory, new Map([...file.tensors.keys()].map((name) => [name, file])));
  }
  const index = join(directory, INDEX);
  if (!existsSync(index))
    throw new FormatError(
      explain(directory, `${SINGLE} or ${INDEX}`, 'neither', 'Weights in other formats (.bin, .gguf) must be converted first.'),
    );
  return sourceOf(directory, openShards(directory, index));
}

function openShards(directory: string, index: string): Map<string, SafetensorsFile> {
  const map = readJsonObject(index)['weight_map'];
  if (typeof map !== 'object' || map === null)
    throw new FormatError(explain(`${index}: weight_map`, 'an object {tensor: file}', typeof map));
  const shards = new Map<string, SafetensorsFile>();
  const owners = new Map<string, SafetensorsFile>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || shard.includes('/') || shard.includes('\\')) {
      throw new FormatError(explain(`${index}: ${name}`, 'the name of a file beside the index', JSON.stringify(shard)));
    }
    let file = shards.get(shard);
    if (!file) {
      if (!existsSync(join(directory, shard)))
        throw new FormatError(explain(`${index}: ${name}`, `its shard ${shard}`, 'no such file', 'Was the download complete?'));
      shards.set(shard, (file = openSafetensors(join(directory, shard))));
    }
    if (!file.tensors.has(name))
      throw new FormatError(explain(`${index}: ${name}`, `a tensor of shard ${shard}`, 'none of that name in it'));
    owners.set(name, file);
  }
  return owners;
}

function sourceOf(directory: string, owners: ReadonlyMap<string, SafetensorsFile>): TensorSource {
  return {
    name: directory,
    names: () => owners.keys(),
    info: (name): TensorInfo | undefined => owners.get(name)?.tensors.get(name),
    read: (name, room) => {
      const file = owners.get(name);
      if (!file) throw new FormatError(explain(directory, `a tensor ${name}`, 'none'));
      return file.read(name, room);
    },
  };
}

export interface CheckpointToSave {
  /** config.json */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: Iterable<TensorToWrite>;
  /** A model directory whose tokenizer and generation files are copied along. */
  readonly copyFrom?: string | undefined;
  readonly shardBytes?: number;
}

/** Writes a model directory, all files or none; sharded, with an index, where it is larger than a shard. Throws OutputError. */
export function saveCheckpoint(directory: string, { config, tensors, copyFrom, shardBytes = SHARD_BYTES }: CheckpointToSave): void {
  const shards: TensorToWrite[][] = [];
  let room = 0;
  let total = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor.dtype, tensor.shape);
    if (bytes > room || shards.length === 0) {
      shards.push([]);
      room = shardBytes;
    }
    shards.at(-1)!.push(tensor);
    room -= bytes;
    total += bytes;
  }
  const stage = stageFiles(directory);
  try {
    writeFiles(stage.path, shards, total, config, copyFrom);
    const written = new Set(readdirSync(stage.path));
    stage.commit();
    for (const name of readdirSync(directory)) if (WEIGHTS.test(name) && !written.has(name)) rmSync(join(directory, name));
  } finally {
    stage.abort();
  }
}

function writeFiles(
  directory: string,
  shards: readonly TensorToWrite[][],
  total: number,
  config: Readonly<Record<string, unknown>>,
  copyFrom: string | undefined,
): void {
  const metadata = { format: 'pt' };
  if (shards.length === 1) {
    writeSafetensors(join(directory, SINGLE), shards[0]!, metadata);
  } else {
    const map: Record<string, string> = {};
    shards.forEach((shard, i) => {
      const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
      writeSafetensors(join(directory, file), shard, metadata);
      for (const { name } of shard) map[name] = file;
    });
    writeFileAtomic(join(directory, INDEX), [`${JSON.stringify({ metadata: { total_size: total }, weight_map: map }, null, 2)}\n`]);
  }
  if (copyFrom !== undefined) copyCompanions(copyFrom, directory);
  writeFileAtomic(join(directory, 'config.json'), [`${JSON.stringify(config, null, 2)}\n`]);
}

function copyCompanions(from: string, to: string): void {
  for (const name of COMPANIONS) {
    const source = join(from, name);
    // The text, not the file: a read-only original must not make a copy that cannot be written again.
    if (existsSync(source)) writeFileAtomic(join(to, name), [readFileSync(source)]);
  }
}

function number(n: number): string {
  return String(n).padStart(5, '0');
}
