/** Room for what is read and packed one after another: the same memory again and again, so that loading leaves no garbage. */
import type { ArrayKind } from '../core/room.ts';
import { aligned } from '../memory/plan.ts';
import { collectGarbage } from './garbage.ts';

const PAGE = 65536;
/** More than this is given back at once: tables are far larger than what comes after them. */
const KEPT_BYTES = 64e6;

/**
 * Takes its memory from WebAssembly, which has it from the system and gives it back there. The host's own arrays come from malloc, and
 * glibc's learns from each that is freed to keep as much of any heap as that was: of all threads that compile.
 */
export class Workspace {
  #block = new ArrayBuffer(0);
  #end = 0;
  /** Bytes asked for since it was empty. */
  #asked = 0;
  /** Whether blocks were given up that nothing needs by the time when more is taken. */
  #garbage = false;

  /** Zeros, there until `clear`. */
  readonly take = <T>(Kind: ArrayKind<T>, length: number): T => {
    if (this.#garbage) collectGarbage();
    this.#garbage = false;
    const bytes = aligned(length * Kind.BYTES_PER_ELEMENT);
    this.#asked += bytes;
    if (this.#end + bytes > this.#block.byteLength) {
      // What was taken before keeps its own block.
      this.#block = pages(bytes);
      this.#end = 0;
    } else new Uint8Array(this.#block, this.#end, bytes).fill(0);
    const array = new Kind(this.#block, this.#end, length);
    this.#end += bytes;
    return array;
  };

  /** Takes back all arrays: whoever has one must not use it any more. */
  clear(): void {
    if (this.#asked > Math.min(KEPT_BYTES, this.#block.byteLength)) {
      this.#block = this.#asked > KEPT_BYTES ? new ArrayBuffer(0) : pages(this.#asked);
      this.#garbage = true;
    }
    this.#end = 0;
    this.#asked = 0;
  }
}

function pages(bytes: number): ArrayBuffer {
  // What is larger than a WebAssembly memory does not fit the arena either, which says so.
  if (bytes > 2 ** 32) return new ArrayBuffer(bytes);
  return new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) }).buffer;
}
