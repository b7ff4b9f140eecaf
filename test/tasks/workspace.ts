/** What the tests of the tasks work on: small texts, and variants of stories260K with one thing about them changed. */
import fs from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../src/core/random.ts';
import type { TensorToWrite } from '../../src/io/safetensors.ts';
import { openSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import type { FinetuneHooks, FinetuneResult } from '../../src/tasks/finetune.ts';
import { finetune } from '../../src/tasks/finetune.ts';
import type { TrainEvent } from '../../src/tasks/events.ts';
import { STORIES } from '../golden/stories.ts';

export { STORIES, withShared } from '../golden/stories.ts';
export { temporaryDirectory } from '../io/temporary.ts';

/** Short stories of differing lengths, the same for the same seed: 15 to 90 tokens of stories260K. */
export function stories(count: number, seed = 1): string[] {
  const random = new Random(seed);
  const pick = (words: string): string => {
    const all = words.split(' ');
    return all[random.below(all.length)]!;
  };
  const sentence = (): string =>
    `${pick('Lily Tom Ben Mia')} ${pick('saw found lost liked')} a ${pick('big red little happy old')} ${pick('ball dog tree cake boat')}.`;
  return Array.from({ length: count }, () => Array.from({ length: 1 + random.below(6) }, sentence).join(' '));
}

/** Writes rows of JSONL. Returns the path. */
export function writeJsonl(path: string, rows: readonly object[]): string {
  fs.mkdirSync(join(path, '..'), { recursive: true });
  fs.writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

/** A data directory with a train and a valid split of stories. */
export function writeStories(directory: string, count: number, seed = 1): string {
  const rows = (all: string[]): object[] => all.map((text) => ({ text }));
  writeJsonl(join(directory, 'train.jsonl'), rows(stories(count, seed)));
  writeJsonl(join(directory, 'valid.jsonl'), rows(stories(4, seed + 1000)));
  return directory;
}

export interface Change {
  /** Takes the place of these fields of config.json; undefined removes one. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Changes a tensor's values, or drops the tensor. */
  readonly tensor?: (name: string, values: Float32Array) => Float32Array | undefined;
  /** Changes a tensor's shape. */
  readonly shape?: (name: string, shape: readonly number[]) => readonly number[];
}

/** Copies stories260K, with a change. Returns the directory. */
export function variant(directory: string, change: Change): string {
  fs.mkdirSync(directory, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    fs.writeFileSync(join(directory, name), fs.readFileSync(join(STORIES, name)));
  const config = { ...(readJson(join(STORIES, 'config.json')) as object), ...change.config };
  fs.writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  const file = openSafetensors(join(STORIES, 'model.safetensors'));
  const tensors = [...file.tensors].flatMap(([name, { dtype, shape }]): TensorToWrite[] => {
    const values = new Float32Array(file.read(name).buffer);
    const data = change.tensor ? change.tensor(name, values) : values;
    if (!data) return [];
    return [
      { name, dtype, shape: change.shape?.(name, shape) ?? shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
    ];
  });
  writeSafetensors(join(directory, 'model.safetensors'), tensors);
  file.close();
  return directory;
}

export function readJson(path: string): unknown {
  return JSON.parse(fs.readFileSync(path, 'utf8'));
}

/** The lines of a log, or of any JSONL. */
export function readLines(path: string): Record<string, unknown>[] {
  const lines = fs.readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Runs a fine-tuning, and gives every event beside its result. */
export async function run(
  options: Parameters<typeof finetune>[0],
  hooks: FinetuneHooks = {},
): Promise<FinetuneResult & { readonly events: TrainEvent[] }> {
  const events: TrainEvent[] = [];
  const onEvent = (event: TrainEvent): void => {
    events.push(event);
    hooks.onEvent?.(event);
  };
  return { ...(await finetune(options, { ...hooks, onEvent })), events };
}

/** Interrupts a run when `step` updates are done, as Ctrl-C does. */
export function interruptAt(step: number): FinetuneHooks {
  const abort = new AbortController();
  return { signal: abort.signal, onEvent: (event) => event.event === 'progress' && event.step === step && abort.abort() };
}

/** Every file of a directory, by its path from there. */
export function filesOf(directory: string): string[] {
  const names = fs.readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => fs.statSync(join(directory, name)).isFile()).sort();
}
