/** Files in one: a zip, without compression, since weights have little to gain. */
import { Zip, ZipPassThrough } from 'fflate';
import type { Given } from '../protocol.ts';

/** A zip of files, whose names may have folders: `adapter/pruned/config.json`. */
export async function archive(files: readonly Given[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    parts.push(chunk);
  });
  for (const { name, blob } of files) {
    const entry = new ZipPassThrough(name);
    zip.add(entry);
    const reader = blob.stream().getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) entry.push(read.value);
    entry.push(new Uint8Array(0), true);
  }
  zip.end();
  return new Blob(parts, { type: 'application/zip' });
}
