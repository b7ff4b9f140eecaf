/** Bytes of any size in a Durable Object's storage, whose values are limited. */
import type { Storage } from './bindings.ts';

/** Below the 128 KiB of a value in every kind of Durable Object. */
const CHUNK_BYTES = 120_000;

interface Head {
  readonly generation: number;
  readonly chunks: number;
}

/**
 * Puts bytes under a name, all or none: the chunks first, under names of their own, and then the head that says which are valid. Who
 * is cut off between finds what was there before.
 */
export async function putBytes(storage: Storage, name: string, bytes: Uint8Array): Promise<void> {
  const old = await storage.get<Head>(name);
  const generation = (old?.generation ?? 0) + 1;
  const chunks = Math.ceil(bytes.length / CHUNK_BYTES);
  await storage.transaction(async (within) => {
    for (let i = 0; i < chunks; i++) {
      await within.put(key(name, generation, i), bytes.slice(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
    }
    await within.put(name, { generation, chunks } satisfies Head);
  });
  // One call deletes 128 keys at most.
  const stale = Array.from({ length: old?.chunks ?? 0 }, (_, i) => key(name, old!.generation, i));
  for (let i = 0; i < stale.length; i += 128) await storage.delete(stale.slice(i, i + 128));
}

/** The bytes of a name; undefined where there are none. */
export async function getBytes(storage: Storage, name: string): Promise<Uint8Array | undefined> {
  const head = await storage.get<Head>(name);
  if (!head) return undefined;
  const parts: Uint8Array[] = [];
  for (let i = 0; i < head.chunks; i++) parts.push((await storage.get<Uint8Array>(key(name, head.generation, i)))!);
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

function key(name: string, generation: number, chunk: number): string {
  return `${name}/${generation}/${chunk}`;
}
