/** Named tensors of a checkpoint, as the layers below io see them. */

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
  /** A fresh, aligned copy of the raw little-endian bytes. Throws FormatError where there is no such tensor. */
  read(name: string): Uint8Array;
}
