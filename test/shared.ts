/**
 * The folder of models and golden data that lies beside the repository. Where it is missing the tests that need it are
 * skipped, with a word; under CI that is a failure, so that a run without it never passes for a full one.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const root = fileURLToPath(new URL('../../shared', import.meta.url));

/** A path in the shared folder. */
export function sharedPath(...parts: readonly string[]): string {
  return join(root, ...parts);
}

/** Whether it is there: `describe.skipIf(!hasShared)`. */
export const hasShared = existsSync(join(root, 'golden')) && existsSync(join(root, 'models'));

if (!hasShared) {
  const message = `${root}: expected the folder of models and golden data, got nothing.`;
  if (process.env['CI']) throw new Error(`${message} Under CI the tests that need it may not be skipped.`);
  console.warn(`${message} The tests that need it are skipped.`);
}

/** Everything that an async iterable yields. */
export async function collect<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}
