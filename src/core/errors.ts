/**
 * The errors that a caller can act on; everything else is a TypeError (wrong kind) or a RangeError (wrong value).
 * Every message says what, what was expected, what was found and, where there is one, the way out.
 */

/** A file, or a set of files, that does not hold what its format promises. */
export class FormatError extends Error {
  override name = 'FormatError';
}

/** A model, an adapter or an option that is well-formed but that this package cannot honour. */
export class UnsupportedError extends Error {
  override name = 'UnsupportedError';
}

/** A plan that needs more memory than it may have. */
export class MemoryBudgetError extends Error {
  override name = 'MemoryBudgetError';
}

/** Files that cannot be written: no space, no permission, or something there that must be kept. */
export class OutputError extends Error {
  override name = 'OutputError';
}

/** A loss or a gradient that stopped being a number. */
export class DivergenceError extends Error {
  override name = 'DivergenceError';
}

/** A worker thread that failed or died; the session that it belonged to has ended. */
export class WorkerError extends Error {
  override name = 'WorkerError';
}

/** A value as JSON, for messages; what JSON has no word for is `nothing`. */
export function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** Joins "what: expected, got" and a hint into one message. */
export function explain(what: string, expected: string, got: string, hint = ''): string {
  return `${what}: expected ${expected}, got ${got}.${hint ? ` ${hint}` : ''}`;
}
