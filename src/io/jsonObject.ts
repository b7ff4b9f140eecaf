/** JSON that came from a file: checked to be an object, with an error that names the file. */
import { FormatError, explain } from '../core/errors.ts';

/** Whether a parsed value is an object, and not an array or null. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, in the words of JSON: for the "got" of a message. */
export function describeJson(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return isJsonObject(value) ? 'an object' : JSON.stringify(value);
}

/**
 * Decodes UTF-8, without its byte order mark.
 * @param where names the file, and the line where that is known, in messages
 * @throws {FormatError} where the bytes are not UTF-8
 */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FormatError(explain(where, 'UTF-8 text', 'bytes that are not'));
  }
}

/**
 * Parses JSON.
 * @param where names the file, and the line where that is known, in messages
 * @throws {FormatError} where the text is not JSON, with V8's position or excerpt
 */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${where}: not JSON: ${(cause as SyntaxError).message}.`, { cause });
  }
}

/**
 * Parses a JSON object.
 * @throws {FormatError} where the text is not JSON, or not an object
 */
export function parseJsonObject(text: string, where: string): Record<string, unknown> {
  const value = parseJson(text, where);
  if (!isJsonObject(value)) throw new FormatError(explain(where, 'a JSON object', describeJson(value)));
  return value;
}
