/**
 * The safetensors format on bytes, without files: u64 little-endian header length, a JSON header, the tensors.
 * Every promise of https://github.com/huggingface/safetensors#format is checked before a tensor can be read.
 */
import type { Room } from '../core/room.ts';
import { FormatError, UnsupportedError, explain, shown } from '../core/errors.ts';
import type { TensorInfo, TensorSource } from '../core/tensorSource.ts';
import { decodeUtf8, describeJson, isJsonObject, parseJsonObject } from './jsonObject.ts';

const ELEMENT_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

/** The element types that are read and written. */
export type TensorDtype = keyof typeof ELEMENT_BYTES;

/** The reference implementation's limit, against headers made to exhaust memory. */
const MAX_HEADER_BYTES = 100_000_000;
const LENGTH_BYTES = 8;

export interface TensorEntry extends TensorInfo {
  readonly dtype: TensorDtype;
  /** Bytes from the start of the data, which is `dataStart` of the file; end excluded. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the data starts, in bytes of the file. */
  readonly dataStart: number;
}

/** A safetensors file, open. */
export interface Safetensors extends TensorSource {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes of one element, or undefined for a dtype that is not supported. */
export function elementBytes(dtype: string): number | undefined {
  return Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype as TensorDtype] : undefined;
}

/** Bytes of a tensor; NaN where the dtype is not supported. */
export function tensorBytes(dtype: string, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, elementBytes(dtype) ?? NaN);
}

/**
 * Where the data starts, from the first 8 bytes of a file.
 * @param fileBytes size of the whole file
 * @throws {FormatError} where the file is too short for the header it announces, or the header larger than 100 MB
 */
export function readDataStart(first: Uint8Array, fileBytes: number, where: string): number {
  if (first.byteLength < LENGTH_BYTES) {
    throw new FormatError(explain(where, 'at least 8 bytes', `${fileBytes}`, 'The file is truncated or not safetensors.'));
  }
  const length = new DataView(first.buffer, first.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new FormatError(explain(`${where}: header`, 'at most 100 MB', `${length} bytes`, 'Is it a safetensors file?'));
  }
  const dataStart = LENGTH_BYTES + Number(length);
  if (dataStart > fileBytes) {
    const hint = 'The file is truncated: copy or download it again.';
    throw new FormatError(explain(`${where}: header`, `${length} bytes`, `${fileBytes - LENGTH_BYTES}`, hint));
  }
  return dataStart;
}

/**
 * Parses and checks a header.
 * @param bytes the file from its first byte, at least to the end of its header
 * @param fileBytes size of the whole file, which the tensors must fill exactly; Infinity where only its end will tell
 * @param where names the file in messages
 * @throws {FormatError} for each promise of the format that is not kept
 * @throws {UnsupportedError} for a dtype that this package does not read
 */
export function parseHeader(bytes: Uint8Array, fileBytes = bytes.byteLength, where = 'safetensors'): SafetensorsHeader {
  const dataStart = readDataStart(bytes, fileBytes, where);
  const text = decodeUtf8(bytes.subarray(LENGTH_BYTES, dataStart), `${where}: header`);
  const json = parseJsonObject(text, `${where}: header`);
  refuseRepeats(text, where);

  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json)) {
    if (name !== '__metadata__') tensors.set(name, parseEntry(value, `${where}: tensor ${JSON.stringify(name)}`));
  }
  checkCoverage(tensors, fileBytes - dataStart, where);
  return { tensors, metadata: parseMetadata(json['__metadata__'], where), dataStart };
}

/** JSON.parse keeps the last of keys that are equal, in silence; the format forbids them. */
function refuseRepeats(header: string, where: string): void {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token, string, colon] of header.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && string !== undefined && colon !== undefined) {
      const name = JSON.parse(string) as string;
      if (seen.has(name)) throw new FormatError(explain(`${where}: tensor ${string}`, 'one entry', 'two'));
      seen.add(name);
    }
  }
}

function parseMetadata(value: unknown, where: string): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (isJsonObject(value) && Object.values(value).every((v) => typeof v === 'string')) return value as Record<string, string>;
  throw new FormatError(explain(`${where}: __metadata__`, 'an object of strings', JSON.stringify(value)));
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseEntry(value: unknown, where: string): TensorEntry {
  if (!isJsonObject(value)) throw new FormatError(explain(where, '{dtype, shape, data_offsets}', describeJson(value)));
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') throw new FormatError(explain(`${where}: dtype`, 'a string', describeJson(dtype)));
  if (elementBytes(dtype) === undefined) {
    throw new UnsupportedError(explain(`${where}: dtype`, `one of ${Object.keys(ELEMENT_BYTES).join(', ')}`, dtype));
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw new FormatError(explain(`${where}: shape`, 'a list of whole numbers', shown(shape)));
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0]! > offsets[1]!) {
    throw new FormatError(explain(`${where}: data_offsets`, '[begin, end] with begin <= end', shown(offsets)));
  }
  const [begin, end] = offsets as [number, number];
  const entry: TensorEntry = { dtype: dtype as TensorDtype, shape: shape, begin, end };
  const bytes = tensorBytes(dtype, entry.shape);
  if (!Number.isSafeInteger(bytes)) {
    throw new FormatError(explain(`${where}: shape`, 'a size below 2^53 bytes', JSON.stringify(shape)));
  }
  if (bytes !== end - begin) {
    const expected = `${bytes} bytes for ${dtype} ${JSON.stringify(shape)}`;
    throw new FormatError(explain(`${where}: data_offsets`, expected, `${end - begin}`));
  }
  return entry;
}

/** The tensors must tile the data: no gap, no overlap, nothing after the last. */
function checkCoverage(tensors: ReadonlyMap<string, TensorEntry>, dataBytes: number, where: string): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let cursor = 0;
  let previous = 'the start';
  for (const [name, { begin, end }] of inOrder) {
    if (begin !== cursor) {
      const what = `${where}: tensor ${JSON.stringify(name)} ${begin < cursor ? 'overlaps' : 'leaves a gap after'} ${previous}`;
      throw new FormatError(explain(what, `its data to begin at byte ${cursor}`, `${begin}`));
    }
    cursor = end;
    previous = JSON.stringify(name);
  }
  if (cursor === dataBytes || dataBytes === Infinity) return;
  const hint = cursor > dataBytes ? 'The file is truncated: copy or download it again.' : 'Bytes follow the last tensor.';
  throw new FormatError(explain(`${where}: data`, `${cursor} bytes`, `${dataBytes}`, hint));
}

/**
 * A safetensors file that is in memory.
 * @param name for messages
 * @throws as `parseHeader`
 */
export function parseSafetensors(bytes: Uint8Array, name = 'safetensors'): Safetensors {
  const header = parseHeader(bytes, bytes.byteLength, name);
  // A Node Buffer's own slice() would be a view of the whole file.
  return makeSource(name, header, ({ begin, end }) => new Uint8Array(bytes.subarray(header.dataStart + begin, header.dataStart + end)));
}

/** Joins a header to a way to get at the data. */
export function makeSource(name: string, header: SafetensorsHeader, read: (entry: TensorEntry, room?: Room) => Uint8Array): Safetensors {
  const { tensors, metadata } = header;
  return {
    name,
    tensors,
    metadata,
    names: () => tensors.keys(),
    info: (tensor) => tensors.get(tensor),
    read(tensor, room) {
      const entry = tensors.get(tensor);
      if (!entry) throw new FormatError(`${name}: no tensor ${JSON.stringify(tensor)}.`);
      return read(entry, room);
    },
  };
}

/**
 * The first bytes of a file: length and header, padded with spaces so that the data starts at a multiple of 8.
 * @param tensors in the order of their data
 * @throws {RangeError} for a name given twice, a dtype that is not supported, or a shape that is not whole numbers
 */
export function encodeHeader(
  tensors: Iterable<TensorInfo & { readonly name: string }>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const json: [string, unknown][] = Object.keys(metadata).length ? [['__metadata__', metadata]] : [];
  const names = new Set(['__metadata__']);
  let begin = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name)) throw new RangeError(explain('name of a tensor', 'one not in use', JSON.stringify(name)));
    const end = begin + tensorBytes(dtype, shape);
    if (!isCount(end) || !shape.every(isCount)) {
      const got = `${dtype} ${JSON.stringify(shape)}`;
      throw new RangeError(explain(`tensor ${JSON.stringify(name)}`, 'a known dtype and a shape of whole numbers', got));
    }
    names.add(name);
    json.push([name, { dtype, shape, data_offsets: [begin, end] }]);
    begin = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(json)));
  const length = Math.ceil(text.byteLength / 8) * 8;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}

/** A tensor to write. */
export interface TensorToWrite extends TensorInfo {
  readonly name: string;
  /** Raw little-endian bytes, row-major; or what makes them, called once when their turn comes. */
  readonly data: Uint8Array | (() => Uint8Array);
}

/**
 * The parts of a file, one after the other: its header, then each tensor. Wider element types come first, so that every
 * tensor is aligned to its elements; within one width the order is the one given.
 * @throws {RangeError} where the bytes of a tensor are not those of its shape; see `encodeHeader` for others, which are thrown at once
 */
export function safetensorsParts(tensors: Iterable<TensorToWrite>, metadata: Readonly<Record<string, string>> = {}): Iterable<Uint8Array> {
  const inOrder = [...tensors].sort((a, b) => (elementBytes(b.dtype) ?? 0) - (elementBytes(a.dtype) ?? 0));
  const header = encodeHeader(inOrder, metadata);
  return (function* () {
    yield header;
    for (const tensor of inOrder) {
      const data = typeof tensor.data === 'function' ? tensor.data() : tensor.data;
      if (data.byteLength !== tensorBytes(tensor.dtype, tensor.shape)) {
        const expected = `${tensorBytes(tensor.dtype, tensor.shape)} bytes for ${tensor.dtype} ${JSON.stringify(tensor.shape)}`;
        throw new RangeError(explain(`tensor ${JSON.stringify(tensor.name)}`, expected, `${data.byteLength}`));
      }
      yield data;
    }
  })();
}

/** A file in memory. Throws as `safetensorsParts`. */
export function encodeSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const all = [...tensors];
  const data = all.reduce((n, { dtype, shape }) => n + tensorBytes(dtype, shape), 0);
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  let at = 0;
  for (const part of safetensorsParts(all, metadata)) {
    bytes ??= new Uint8Array(part.byteLength + data);
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes!;
}
