/** The arena: one WebAssembly memory that grows as it is filled. What is placed in it stays where it is. */
import type { Constant } from '../core/constant.ts';
import { bytesOf } from '../core/constant.ts';
import { MemoryBudgetError } from '../core/errors.ts';
import { createMemory } from '../kernels/load.ts';
import { ALIGNMENT, aligned } from '../memory/plan.ts';
import type { Occupied } from '../program/layout.ts';

/** wasm32 ends here; the last page stays unused, so that sums of addresses do not wrap around. */
export const ADDRESS_SPACE = 2 ** 32 - 65536;

const PAGE = 65536;

/** Arrays of packed weights. */
type Elements = Float32Array | Uint32Array | Uint16Array | Uint8Array;

export class Arena implements Occupied {
  readonly memory: WebAssembly.Memory;
  /** Every buffer that this memory has had: one that grew has another object over the same bytes. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  readonly #shared: boolean;
  #end = ALIGNMENT;
  /** Where the bytes begin that no session has had. */
  #fresh = 0;

  /** A shared memory can be walked by several threads. Views of one that is not shared end when it grows. */
  constructor(shared: boolean) {
    this.#shared = shared;
    this.memory = createMemory(PAGE, shared);
  }

  /** Where free bytes begin. */
  get end(): number {
    return this.#end;
  }

  /** Makes sure that addresses below `bytes` are there. */
  reserve(bytes: number): void {
    if (bytes > ADDRESS_SPACE) throw new MemoryBudgetError(`memory: expected at most 4 GiB in one WebAssembly memory, got ${bytes} bytes.`);
    const missing = Math.ceil(bytes / PAGE) - this.memory.buffer.byteLength / PAGE;
    if (missing > 0) this.memory.grow(missing);
    this.#buffers.add(this.memory.buffer);
  }

  /**
   * Gives a session the addresses from `end` to `bytes`. What sessions before it left there becomes zeros; returns where the bytes
   * begin that none of them had: they are not resident yet.
   */
  lend(bytes: number): number {
    this.reserve(bytes);
    const fresh = Math.max(this.#end, Math.min(this.#fresh, bytes));
    this.bytes(this.#end, fresh - this.#end).fill(0);
    this.#fresh = Math.max(this.#fresh, bytes);
    return fresh;
  }

  /** Copies an array into the arena for good and returns it as it stands there. For shared memory. */
  adopt<T extends Elements>(array: T): T {
    if (!this.#shared) throw new TypeError('arena: expected shared memory, got a local one.');
    const address = this.#end;
    const end = address + aligned(array.byteLength);
    this.reserve(end);
    this.#end = end;
    this.write(address, array);
    const View = array.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => T;
    return new View(this.memory.buffer, address, array.length);
  }

  addressOf(data: Constant): number | undefined {
    return ArrayBuffer.isView(data) && this.#buffers.has(data.buffer) ? data.byteOffset : undefined;
  }

  /** Copies bytes to an address. */
  write(address: number, data: ArrayBufferView): void {
    this.bytes(address, data.byteLength).set(bytesOf(data));
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }
}
