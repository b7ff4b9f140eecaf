/** Text to evaluate on that nothing trains on. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { FormatError, explain } from '../core/errors.ts';
import type { Separator } from '../io/rows.ts';
import { loadDataset } from '../io/datasets.ts';

/** Share of a single file that is held out. */
const HELD_OUT = 0.1;

/**
 * A data directory that has the held-out part under the name `as`: `path` itself where it does; else, in `work`, a copy of its
 * splits, or of a single file with its last tenth split off.
 */
export function heldOut(path: string, work: string, separator: Separator, as: 'valid' | 'test'): string {
  const { valid, test } = loadDataset(path, separator);
  if (as === 'valid' ? valid : (test ?? valid)) return path;
  const directory = statSync(path).isDirectory();
  const split = join(work, 'data');
  const put = (from: string, name: string): void => copyFileSync(from, join(split, `${name}${extname(from)}`));
  mkdirSync(split);
  const file = directory ? fileOf(path, 'train') : path;
  if (test) {
    put(file, 'train');
    put(fileOf(path, 'test'), as);
    return split;
  }
  const lines = readFileSync(file, 'utf8').split(/(?<=\n)/);
  const length = lines.reduce((n, line) => n + line.length, 0);
  let [count, seen] = [0, 0];
  while (count < lines.length && seen + lines[count]!.length <= length * (1 - HELD_OUT)) seen += lines[count++]!.length;
  if (count === 0 || count === lines.length) {
    throw new FormatError(explain(`data ${path}`, 'lines, of which the last tenth can be held out', `${lines.length} of them`));
  }
  writeFileSync(join(split, `train${extname(file)}`), lines.slice(0, count).join(''));
  writeFileSync(join(split, `${as}${extname(file)}`), lines.slice(count).join(''));
  return split;
}

/** The file of a split that loadDataset has read. */
function fileOf(directory: string, split: string): string {
  return ['jsonl', 'txt'].map((kind) => join(directory, `${split}.${kind}`)).find((path) => existsSync(path))!;
}
