/** What a run needs where memory is small: planned from what is known, and refused before it is taken. */
import { MemoryBudgetError } from '../core/errors.ts';
import type { LlamaModel } from '../models/model.ts';
import { megabytes } from '../runtime/session.ts';
import { packedBytes } from '../sparse/weight.ts';

/** What an isolate holds beside models and arenas: code, the tokenizer and the host's own objects. An estimate, on the safe side. */
const HOST_BYTES = 16e6;

/** Bytes by what they are for. */
export type MemoryParts = Readonly<Record<string, number>>;

/** What stays while anything runs: the host, and the model as it is packed. */
export function heldBy(model: LlamaModel): MemoryParts {
  const tables = packedBytes(model.embedding) + (model.head ? packedBytes(model.head) : 0);
  const projections = [...model.linears.values()].reduce((n, weight) => n + packedBytes(weight), 0);
  return { host: HOST_BYTES, 'packed model': tables + projections };
}

/** What is left of a limit for an arena. Throws MemoryBudgetError where nothing is. */
export function leftOf(memoryBytes: number | undefined, what: string, parts: MemoryParts): number | undefined {
  if (memoryBytes === undefined) return undefined;
  requireRoom(memoryBytes, what, parts);
  return memoryBytes - sum(parts);
}

/** Throws MemoryBudgetError, naming the parts, where they are more than a limit. */
export function requireRoom(memoryBytes: number | undefined, what: string, parts: MemoryParts): void {
  const bytes = sum(parts);
  if (memoryBytes === undefined || bytes <= memoryBytes) return;
  throw new MemoryBudgetError(
    `memory: ${what} needs at least ${megabytes(bytes)} (${inWords(parts)}), but memoryBytes is ${megabytes(memoryBytes)}.`,
  );
}

/** Says beside what an arena was refused. */
export function besides(error: unknown, memoryBytes: number | undefined, parts: MemoryParts): unknown {
  if (!(error instanceof MemoryBudgetError) || memoryBytes === undefined) return error;
  return new MemoryBudgetError(`${error.message} Of ${megabytes(memoryBytes)} memoryBytes, ${inWords(parts)} are taken beside it.`);
}

/** A model with a tensor of `raw` bytes on its way in: the tensor, and its packed copy at worst. The header tells both. */
export function loadingParts(packed: number, raw: number): MemoryParts {
  return { host: HOST_BYTES, 'packed so far': packed, 'a tensor being packed': raw * 2 };
}

function sum(parts: MemoryParts): number {
  return Object.values(parts).reduce((a, b) => a + b, 0);
}

function inWords(parts: MemoryParts): string {
  return Object.entries(parts)
    .map(([name, bytes]) => `${name} ${megabytes(bytes)}`)
    .join(', ');
}
