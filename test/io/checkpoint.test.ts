import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { openCheckpoint, saveCheckpoint } from '../../src/io/checkpoint.ts';
import { hasShared, sharedPath } from '../shared.ts';
import { temporaryDirectory } from './temporary.ts';

const root = temporaryDirectory();
let count = 0;
const fresh = (): string => {
  const path = join(root, `model-${count++}`);
  fs.mkdirSync(path);
  return path;
};
const bytes = (name: string, ...data: number[]): { name: string; dtype: string; shape: number[]; data: Uint8Array } => ({
  name,
  dtype: 'U8',
  shape: [data.length],
  data: Uint8Array.from(data),
});
const three = [bytes('a', 1, 2), bytes('b', 3, 4), bytes('c', 5)];

/** A sharded checkpoint, with one thing about it changed. */
function sharded(change: (directory: string, index: { weight_map: Record<string, unknown> }) => void): string {
  const directory = fresh();
  saveCheckpoint(directory, { config: {}, tensors: three, shardBytes: 4 });
  const path = join(directory, 'model.safetensors.index.json');
  const index = JSON.parse(fs.readFileSync(path, 'utf8')) as { weight_map: Record<string, unknown> };
  change(directory, index);
  fs.writeFileSync(path, JSON.stringify(index));
  return directory;
}

describe('a checkpoint', () => {
  it('comes back as it was saved, in one file', () => {
    const directory = fresh();
    saveCheckpoint(directory, { config: { model_type: 'llama' }, tensors: three });
    expect(fs.readdirSync(directory)).toEqual(['config.json', 'model.safetensors']);
    expect(JSON.parse(fs.readFileSync(join(directory, 'config.json'), 'utf8'))).toEqual({ model_type: 'llama' });
    const source = openCheckpoint(directory);
    expect([...source.names()].sort()).toEqual(['a', 'b', 'c']);
    expect(source.info('a')).toMatchObject({ dtype: 'U8', shape: [2] });
    expect(source.info('z')).toBeUndefined();
    expect(source.read('b')).toEqual(Uint8Array.of(3, 4));
    expect(() => source.read('z')).toThrow(FormatError);
  });

  it('comes back from shards, with an index of their names and total size', () => {
    const directory = fresh();
    saveCheckpoint(directory, { config: {}, tensors: three, shardBytes: 4 });
    expect(JSON.parse(fs.readFileSync(join(directory, 'model.safetensors.index.json'), 'utf8'))).toEqual({
      metadata: { total_size: 5 },
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00001-of-00002.safetensors',
        c: 'model-00002-of-00002.safetensors',
      },
    });
    const source = openCheckpoint(directory);
    expect(three.map(({ name }) => source.read(name))).toEqual(three.map(({ data }) => data));
  });

  it('replaces the weights of an earlier save, whatever their files were', () => {
    const directory = fresh();
    fs.writeFileSync(join(directory, 'log.jsonl'), 'kept');
    const newer = three.map((tensor) => ({ ...tensor, data: tensor.data.map((x) => x + 10) }));
    saveCheckpoint(directory, { config: {}, tensors: three });
    saveCheckpoint(directory, { config: {}, tensors: newer, shardBytes: 4 });
    expect(openCheckpoint(directory).read('a')).toEqual(Uint8Array.of(11, 12));
    saveCheckpoint(directory, { config: {}, tensors: three });
    expect(openCheckpoint(directory).read('a')).toEqual(Uint8Array.of(1, 2));
    expect(fs.readdirSync(directory)).toEqual(['config.json', 'log.jsonl', 'model.safetensors']);
  });

  it('changes nothing where a tensor cannot be made', () => {
    const directory = fresh();
    saveCheckpoint(directory, { config: { old: true }, tensors: three });
    const before = fs.readdirSync(directory).map((name) => fs.readFileSync(join(directory, name)));
    const broken = {
      ...bytes('d', 6),
      data: (): Uint8Array => {
        throw new Error('no such weight');
      },
    };
    expect(() => saveCheckpoint(directory, { config: {}, tensors: [...three, broken], shardBytes: 4 })).toThrow('no such weight');
    expect(fs.readdirSync(directory).map((name) => fs.readFileSync(join(directory, name)))).toEqual(before);
  });

  it.skipIf(!hasShared)('copies the files of the tokenizer', () => {
    const directory = fresh();
    saveCheckpoint(directory, { config: {}, tensors: three, copyFrom: sharedPath('models', 'stories260K') });
    for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
      expect(fs.readFileSync(join(directory, name))).toEqual(fs.readFileSync(sharedPath('models', 'stories260K', name)));
    }
  });

  const broken: [what: string, make: () => string, message: RegExp][] = [
    ['no directory', () => join(root, 'none'), /none/],
    ['a file for a directory', () => (fs.writeFileSync(join(root, 'file'), ''), join(root, 'file')), /a file/],
    ['no weights', fresh, /expected model\.safetensors or model\.safetensors\.index\.json, got neither/],
    [
      'a missing shard',
      () => sharded((directory) => fs.rmSync(join(directory, 'model-00002-of-00002.safetensors'))),
      /c: expected its shard model-00002-of-00002\.safetensors, got no such file/,
    ],
    [
      'a tensor that its shard does not have',
      () => sharded((_, index) => (index.weight_map['z'] = 'model-00001-of-00002.safetensors')),
      /z: expected a tensor of shard model-00001-of-00002\.safetensors/,
    ],
    ['a shard outside of the directory', () => sharded((_, index) => (index.weight_map['a'] = '../x')), /beside the index, got "\.\.\/x"/],
    ['a shard that is no name', () => sharded((_, index) => (index.weight_map['a'] = 7)), /beside the index, got 7/],
    [
      'a truncated shard',
      () => sharded((directory) => fs.truncateSync(join(directory, 'model-00001-of-00002.safetensors'), 90)),
      /model-00001-of-00002\.safetensors: .*truncated/,
    ],
    [
      'an index that is not JSON',
      () => {
        const directory = fresh();
        fs.writeFileSync(join(directory, 'model.safetensors.index.json'), '{"weight_map":');
        return directory;
      },
      /model\.safetensors\.index\.json: not JSON: Unexpected end/,
    ],
    [
      'an index without a map',
      () => {
        const directory = fresh();
        fs.writeFileSync(join(directory, 'model.safetensors.index.json'), '{}');
        return directory;
      },
      /weight_map: expected an object/,
    ],
  ];
  it.each(broken)('%s is a FormatError that says so', (_, make, message) => {
    const directory = make();
    expect(() => openCheckpoint(directory)).toThrow(FormatError);
    expect(() => openCheckpoint(directory)).toThrow(message);
  });
});
