/** safetensors files that arrive front to back: the header first, then each tensor in the order of its data. */
import { FormatError, explain } from '../core/errors.ts';
import type { SafetensorsHeader } from './safetensorsFormat.ts';
import { parseHeader, readDataStart } from './safetensorsFormat.ts';

/** Where the bytes come from. */
export interface ByteSequence {
  /** Fresh, aligned bytes. Throws where there are fewer. */
  take(length: number): Promise<Uint8Array>;
  /** Passes over bytes. */
  skip(length: number): Promise<void>;
  /** All that is left. */
  rest(): Promise<Uint8Array>;
}

/** A file whose header was read; its tensors are still to come. */
export interface SafetensorsStream extends SafetensorsHeader {
  readonly name: string;
  /** The tensors that `wanted` says, in the order of their data; the others are passed over. To be walked once, to its end. */
  read(wanted: (tensor: string) => boolean): AsyncGenerator<{ readonly tensor: string; readonly bytes: Uint8Array }, void, void>;
}

/**
 * Reads the header of a file.
 * @param name for messages
 * @throws as `parseHeader`; `read` throws FormatError where the data is shorter or longer than the header says
 */
export async function openSafetensorsStream(source: ByteSequence, name: string): Promise<SafetensorsStream> {
  const first = await source.take(8);
  const dataStart = readDataStart(first, Infinity, name);
  const head = new Uint8Array(dataStart);
  head.set(first);
  head.set(await source.take(dataStart - first.length), first.length);
  const header = parseHeader(head, Infinity, name);
  return {
    ...header,
    name,
    async *read(wanted) {
      for (const [tensor, { begin, end }] of [...header.tensors].sort(([, a], [, b]) => a.begin - b.begin)) {
        if (wanted(tensor)) yield { tensor, bytes: await source.take(end - begin) };
        else await source.skip(end - begin);
      }
      const { length } = await source.rest();
      if (length > 0) throw new FormatError(explain(`${name}: data`, 'its end after the last tensor', `${length} more bytes`));
    },
  };
}
