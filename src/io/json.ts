/** Reading whole small files, with errors that a person can act on. */
import fs from 'node:fs';
import { FormatError } from '../core/errors.ts';
import { decodeUtf8, parseJson, parseJsonObject } from './jsonObject.ts';

/** The error of a file that cannot be read, from the one that node:fs threw. */
export function inputError(path: string, cause: unknown): FormatError {
  const code = (cause as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: 'missing',
    ENOTDIR: 'missing',
    EACCES: 'no permission to read it',
    EPERM: 'no permission to read it',
    EISDIR: 'a directory, not a file',
  };
  const reason = reasons[code ?? ''] ?? `cannot be read: ${(cause as Error).message}`;
  return new FormatError(`${path}: ${reason}.`, { cause });
}

function readBytes(path: string): Uint8Array {
  try {
    return fs.readFileSync(path);
  } catch (cause) {
    throw inputError(path, cause);
  }
}

/**
 * The text of a UTF-8 file, without its byte order mark.
 * @throws {FormatError} where it is missing, unreadable or not UTF-8
 */
export function readText(path: string): string {
  return decodeUtf8(readBytes(path), path);
}

/**
 * The value of a JSON file.
 * @throws {FormatError} where it is missing, unreadable or not JSON
 */
export function readJson(path: string): unknown {
  return parseJson(readText(path), path);
}

/**
 * A file that holds one JSON object.
 * @throws {FormatError} where it is missing, unreadable, not JSON or not an object
 */
export function readJsonObject(path: string): Record<string, unknown> {
  return parseJsonObject(readText(path), path);
}
