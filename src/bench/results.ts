/** Results in files: written all three together, and read again to be compared. */
import { join } from 'node:path';
import { FormatError, explain, shown } from '../core/errors.ts';
import { createOutputDirectory, writeFileAtomic } from '../io/atomic.ts';
import { readJsonObject } from '../io/json.ts';
import { csvOf } from './csv.ts';
import { reportHtml } from './report.ts';
import type { BenchReport } from './types.ts';

export const SCHEMA = 'lors-bench/1';

/** Refuses a directory that cannot be written to, before there is something to lose. Returns what takes it back where nothing comes into it. */
export function prepareResults(directory: string, overwrite: boolean): () => void {
  return createOutputDirectory(directory, overwrite ? 'allow' : 'refuse');
}

/** Writes results.json, results.csv and report.html; returns their paths. */
export function saveResults(directory: string, report: BenchReport): string[] {
  const files = {
    'results.json': `${JSON.stringify(report, null, 2)}\n`,
    'results.csv': csvOf(report.rows),
    'report.html': reportHtml(report),
  };
  return Object.entries(files).map(([name, text]) => {
    const path = join(directory, name);
    writeFileAtomic(path, [text]);
    return path;
  });
}

/** Reads a results.json. Throws FormatError where it is none. */
export function loadResults(path: string): BenchReport {
  const json = readJsonObject(path);
  if (json['schema'] !== SCHEMA)
    throw new FormatError(explain(`${path}: schema`, shown(SCHEMA), shown(json['schema']), 'Is it a results.json of lors bench?'));
  for (const name of ['rows', 'limits']) {
    if (!Array.isArray(json[name])) throw new FormatError(explain(`${path}: ${name}`, 'a list', shown(json[name])));
  }
  return json as unknown as BenchReport;
}
