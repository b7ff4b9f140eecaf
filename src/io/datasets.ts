/** Text to train on: .txt, .jsonl, or a directory with train, valid and test files. */
import { existsSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { FormatError, UnsupportedError, explain } from '../core/errors.ts';
import { readText } from './json.ts';
import type { Row, Separator } from './rows.ts';
import { parseJsonl, parseText } from './rows.ts';

export interface Dataset {
  readonly train: readonly Row[];
  readonly valid: readonly Row[] | undefined;
  readonly test: readonly Row[] | undefined;
}

/** Loads a file (all of it `train`) or a directory. Throws FormatError where there is nothing, or nothing valid, to read. */
export function loadDataset(path: string, separator: Separator = 'file'): Dataset {
  if (!existsSync(path))
    throw new FormatError(explain(`data ${path}`, 'a .txt or .jsonl file, or a directory with train.jsonl', 'nothing there'));
  if (!statSync(path).isDirectory()) return { train: loadRows(path, separator), valid: undefined, test: undefined };
  const split = (...names: string[]): readonly Row[] | undefined => {
    const file = names.flatMap((name) => [join(path, `${name}.jsonl`), join(path, `${name}.txt`)]).find(existsSync);
    return file === undefined ? undefined : loadRows(file, separator);
  };
  const train = split('train');
  if (!train) throw new FormatError(explain(`data ${path}`, 'train.jsonl or train.txt in the directory', 'neither'));
  return { train, valid: split('valid', 'validation', 'val'), test: split('test') };
}

function loadRows(path: string, separator: Separator): Row[] {
  const kind = extname(path);
  if (kind !== '.txt' && kind !== '.jsonl')
    throw new UnsupportedError(explain(`data ${path}`, 'a .txt or .jsonl file', kind || 'no extension'));
  const text = readText(path);
  const rows = kind === '.jsonl' ? parseJsonl(text, basename(path)) : parseText(text, separator);
  if (rows.length === 0) throw new FormatError(explain(`data ${path}`, 'at least one document', 'an empty file'));
  return rows;
}
