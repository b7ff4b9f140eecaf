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

export class Arena implements Occupied {
  readonly memory: WebAssembly.Memory;
  /** Every buffer that this memory has had: one that grew has another object over the same bytes. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  #end = ALIGNMENT;
  /** Where the bytes begin that no session has had. */
  #fresh = 0;

  /** A shared memory can be walked by several threads. Views of one that is not shared end when it grows. */
  constructor(shared: boolean) {
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

  /** The address of so many bytes that are taken for good. */
  take(bytes: number): number {
    const address = this.#end;
    this.reserve(address + aligned(bytes));
    this.#end += aligned(bytes);
    return address;
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
