/** Named tensors of a checkpoint, as the layers below io see them. */
import type { Room } from './room.ts';

export interface TensorInfo {
  /** As safetensors names it: `F32`, `BF16`, `I64` ... */
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface TensorSource {
  /** For messages: the directory or file. */
  readonly name: string;
  names(): Iterable<string>;
  info(name: string): TensorInfo | undefined;
  /** An aligned copy of the raw little-endian bytes, in `room` where the source knows how. Throws FormatError where there is no such tensor. */
  read(name: string, room?: Room): Uint8Array;
}
