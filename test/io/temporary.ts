/** A directory for one test file's output, removed when its tests are done. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'lors-io-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
