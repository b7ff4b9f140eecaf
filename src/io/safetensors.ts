/** safetensors files: opened without reading more than is asked for, and written tensor by tensor. */
import fs from 'node:fs';
import { FormatError, explain } from '../core/errors.ts';
import { HEAP } from '../core/room.ts';
import { writeFileAtomic } from './atomic.ts';
import { inputError } from './json.ts';
import type { Safetensors, TensorToWrite } from './safetensorsFormat.ts';
import { makeSource, parseHeader, readDataStart, safetensorsParts } from './safetensorsFormat.ts';

export { parseHeader, parseSafetensors, tensorBytes } from './safetensorsFormat.ts';
export type { Safetensors, SafetensorsHeader, TensorDtype, TensorEntry, TensorToWrite } from './safetensorsFormat.ts';

/** A safetensors file on the disk. `read` reads the tensor's own range and nothing else. */
export interface SafetensorsFile extends Safetensors {
  /** Gives the file back to the system; `read` throws from then on. */
  close(): void;
}

/** One call may not read more than 2 GiB. */
const MAX_READ = 2 ** 30;

/** Aligned bytes of a range; stops short at the end of the file. */
function readRange(fd: number, position: number, length: number, room = HEAP): Uint8Array {
  const bytes = room<Uint8Array>(Uint8Array, length);
  let done = 0;
  while (done < length) {
    const got = fs.readSync(fd, bytes, done, Math.min(length - done, MAX_READ), position + done);
    if (got === 0) break;
    done += got;
  }
  return done === length ? bytes : bytes.subarray(0, done);
}

/**
 * Opens a file and checks its header; see `parseHeader` for what is checked.
 * @throws {FormatError} where it is missing, truncated, or breaks the format
 * @throws {UnsupportedError} for a dtype that this package does not read
 */
export function openSafetensors(path: string): SafetensorsFile {
  let fd: number | undefined;
  try {
    fd = fs.openSync(path, 'r');
    const fileBytes = fs.fstatSync(fd).size;
    const dataStart = readDataStart(readRange(fd, 0, Math.min(8, fileBytes)), fileBytes, path);
    return makeFile(path, fd, parseHeader(readRange(fd, 0, dataStart), fileBytes, path));
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : inputError(path, error);
  }
}

function makeFile(path: string, fd: number, header: ReturnType<typeof parseHeader>): SafetensorsFile {
  let open = true;
  const source = makeSource(path, header, ({ begin, end }, room) => {
    if (!open) throw new Error(`${path}: read after close.`);
    const bytes = readRange(fd, header.dataStart + begin, end - begin, room);
    if (bytes.byteLength === end - begin) return bytes;
    const hint = 'The file became shorter while it was open.';
    throw new FormatError(explain(`${path}: data`, `${end - begin} bytes`, `${bytes.byteLength}`, hint));
  });
  return {
    ...source,
    close() {
      if (open) fs.closeSync(fd);
      open = false;
    },
  };
}

/**
 * Writes a file, atomically: a temporary beside it, flushed, then renamed. In the order of `safetensorsParts`.
 * @throws {OutputError} no space or no permission; nothing is left behind then
 * @throws {RangeError} as `safetensorsParts`
 */
export function writeSafetensors(path: string, tensors: Iterable<TensorToWrite>, metadata: Readonly<Record<string, string>> = {}): void {
  writeFileAtomic(path, safetensorsParts(tensors, metadata));
}
