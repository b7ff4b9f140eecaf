/**
 * Output that is there whole or not at all: everything is written under a temporary name beside its target, flushed to
 * the disk, and renamed. A failed write leaves neither the temporary nor a change to what was there before.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { OutputError, explain } from '../core/errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the device',
  EDQUOT: 'no space left in the quota',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'no permission (a read-only file system)',
  ENOENT: 'no such directory',
  ENOTDIR: 'a part of the path is a file, not a directory',
  EEXIST: 'a file is in the way',
  EISDIR: 'a directory is in the way',
};

/** One call may not write more than 2 GiB. */
const MAX_WRITE = 2 ** 30;

/** The error of a path that cannot be written, from the one that node:fs threw. */
export function outputError(path: string, cause: unknown): OutputError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  return new OutputError(`${path}: cannot be written: ${REASONS[code] ?? message}.`, { cause });
}

/** Runs a file system call, and turns what it throws into an OutputError that names the path. */
function attempt<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    throw outputError(path, cause);
  }
}

/** A name beside the target, so that the rename stays within one file system; hidden, so that no reader takes it up. */
function siblingOf(path: string, suffix: 'tmp' | 'old'): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.${suffix}`);
}

/** Removes what is left over, without hiding the error that is the reason for it. */
function discard(path: string): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch {
    // The caller's error says what went wrong; a leftover under a hidden name is harmless.
  }
}

/** Makes renames within a directory durable, where the host can do that (Windows cannot open a directory). */
function syncDirectory(path: string): void {
  try {
    const fd = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // The data itself is flushed; only the order of directory entries is at stake.
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;) {
    done += fs.writeSync(fd, bytes, done, Math.min(bytes.byteLength - done, MAX_WRITE));
  }
}

const encode = (part: string | Uint8Array): Uint8Array => (typeof part === 'string' ? new TextEncoder().encode(part) : part);

/**
 * Writes a file so that a reader sees the old content or the new, never a part.
 * @param parts text or bytes, taken one at a time while they are written; what making them throws is thrown on
 * @throws {OutputError} no space, no permission, or no such directory; the temporary is removed then
 */
export function writeFileAtomic(path: string, parts: Iterable<string | Uint8Array>): void {
  const temporary = siblingOf(path, 'tmp');
  const fd = attempt(path, () => fs.openSync(temporary, 'wx'));
  try {
    try {
      for (const part of parts) attempt(path, () => writeAll(fd, encode(part)));
      attempt(path, () => fs.fsyncSync(fd));
    } finally {
      attempt(path, () => fs.closeSync(fd));
    }
    attempt(path, () => fs.renameSync(temporary, path));
  } catch (error) {
    discard(temporary);
    throw error;
  }
  syncDirectory(dirname(path));
}

/**
 * Makes a directory for output, with its parents.
 * @param existing `refuse`: a directory that holds anything is kept as it is; `allow`: it is written into
 * @returns takes back what was made, where nothing came into it: for a job that ends before it wrote anything
 * @throws {OutputError} where it holds something, is a file, or cannot be written
 */
export function createOutputDirectory(path: string, existing: 'refuse' | 'allow'): () => void {
  // Both can fail for want of a permission, and should: before the hours of work, not after.
  const made = attempt(path, () => makeDirectory(path));
  const entries = attempt(path, () => {
    fs.accessSync(path, fs.constants.W_OK);
    return fs.readdirSync(path).length;
  });
  if (entries === 0 || existing === 'allow') return () => removeEmpty(made);
  const got = `one with ${entries} ${entries === 1 ? 'entry' : 'entries'}`;
  const hint = 'Give --overwrite to write into it, or --resume to go on with the run in it.';
  throw new OutputError(explain(path, 'a new or empty directory', got, hint));
}

/** Makes a directory with its parents; gives those that were not there, the innermost first, by their real names: links and `..` resolved. */
function makeDirectory(path: string): string[] {
  const first = fs.mkdirSync(path, { recursive: true });
  if (first === undefined) return [];
  const top = fs.realpathSync.native(first);
  const made: string[] = [];
  // Of a path that leads out again of what was made for it nothing is known: it is left.
  for (let at = fs.realpathSync.native(path); at === top || at.startsWith(top + sep); at = dirname(at)) made.push(at);
  return made;
}

/** Removes directories in this order, as far as they are empty. */
function removeEmpty(directories: readonly string[]): void {
  try {
    for (const directory of directories) fs.rmdirSync(directory);
  } catch {
    // It holds something, or is gone: so it and its parents stay as they are.
  }
}

/** A directory that is being filled. */
export interface Stage {
  /** Where to write now. */
  readonly path: string;
  /** Moves what was written to its place. Throws OutputError, with the old content back in place, where that fails. */
  commit(): void;
  /** Throws away what was written; nothing after `commit`, so it may stand in a `finally`. */
  abort(): void;
}

function makeStage(target: string, temporary: string, place: () => void): Stage {
  attempt(target, () => fs.mkdirSync(temporary));
  let open = true;
  return {
    path: temporary,
    commit() {
      if (!open) throw new Error(`${target}: this stage was committed or aborted before.`);
      attempt(target, place);
      open = false;
      syncDirectory(dirname(temporary));
    },
    abort() {
      if (open) discard(temporary);
      open = false;
    },
  };
}

/**
 * Stages a whole directory, such as `checkpoint-100`: it appears under its name complete, in one rename. One that
 * stands there already is moved aside first, removed after, and put back should the rename fail.
 * @throws {OutputError} where the parent cannot be made or written
 */
export function stageDirectory(path: string): Stage {
  const temporary = siblingOf(path, 'tmp');
  attempt(path, () => fs.mkdirSync(dirname(path), { recursive: true }));
  return makeStage(path, temporary, () => {
    if (!fs.existsSync(path)) {
      fs.renameSync(temporary, path);
      return;
    }
    const old = siblingOf(path, 'old');
    fs.renameSync(path, old);
    try {
      fs.renameSync(temporary, path);
    } catch (error) {
      fs.renameSync(old, path);
      throw error;
    }
    discard(old);
  });
}

/**
 * Stages files that belong together for a directory that may hold others: all are written before the first one is
 * moved to its place, so that running out of space changes nothing. Makes the directory where it is missing.
 * @throws {OutputError} where the directory cannot be made or written
 */
export function stageFiles(directory: string): Stage {
  const temporary = join(directory, `.${randomBytes(6).toString('hex')}.tmp`);
  const made = attempt(directory, () => makeDirectory(directory));
  const stage = makeStage(directory, temporary, () => {
    for (const name of fs.readdirSync(temporary)) fs.renameSync(join(temporary, name), join(directory, name));
    fs.rmdirSync(temporary);
  });
  return {
    ...stage,
    abort() {
      stage.abort();
      removeEmpty(made);
    },
  };
}
