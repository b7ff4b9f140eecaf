/** Zips that the page gave. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';

/** Writes the files of a zip below a directory; returns their names. */
export function unpackZip(bytes: Uint8Array, directory: string): string[] {
  const files = unzipSync(bytes);
  for (const [name, data] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, data);
  }
  return Object.keys(files).sort();
}
