/** Where arrays that are worked on stand. */

/** A kind of array: its constructor. */
export interface ArrayKind<T> {
  new (length: number): T;
  new (buffer: ArrayBuffer, offset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** Gives an array of zeros. */
export type Room = <T>(Kind: ArrayKind<T>, length: number) => T;

/** The host's heap: an array is there as long as something refers to it. */
export const HEAP: Room = (Kind, length) => new Kind(length);

/** The first `length` bytes in an array of their own, without the room that was not needed. */
export function fitted(bytes: Uint8Array, length: number, room: Room): Uint8Array {
  const array = room<Uint8Array>(Uint8Array, length);
  array.set(bytes.subarray(0, length));
  return array;
}
