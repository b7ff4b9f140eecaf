/** Bytes that do not change: an array in memory, or one that is kept elsewhere and read when it is needed. */
export type Constant = ArrayBufferView | RemoteBytes;

/** An array in a file. */
export interface RemoteBytes {
  readonly byteLength: number;
  /** Fills the target, of `byteLength` bytes; it may stand in shared memory. */
  read(target: Uint8Array): Promise<void>;
  readSync(target: Uint8Array): void;
}

/** Whether a constant has to be read first. */
export function isRemote(data: Constant): data is RemoteBytes {
  return !ArrayBuffer.isView(data);
}

/** The bytes of an array. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
