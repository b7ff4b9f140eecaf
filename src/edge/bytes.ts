/** Bytes in the ways that a host without files hands them over, read to the end or piece by piece. */
import { bytesOf } from '../core/constant.ts';
import { FormatError, explain } from '../core/errors.ts';
import { decodeUtf8, isJsonObject, parseJsonObject } from '../io/jsonObject.ts';

/** A buffer or a view of one, a stream, or the answer of a fetch. */
export type BytesSource = ArrayBuffer | ArrayBufferView | ReadableStream<Uint8Array> | Response;

/** A JSON object: parsed, as text, or as bytes. */
export type JsonSource = BytesSource | string | Readonly<Record<string, unknown>>;

/** Reads a source in pieces of the sizes that are asked for. */
export class ByteReader {
  readonly #where: string;
  readonly #next: () => Promise<Uint8Array | undefined>;
  #chunk: Uint8Array = new Uint8Array(0);
  #done = 0;

  /**
   * @param where names the source in messages
   * @throws {FormatError} for an answer that is not one of success, or has no body
   */
  constructor(source: BytesSource, where: string) {
    this.#where = where;
    this.#next = chunksOf(source, where);
  }

  /** Bytes taken so far. */
  get done(): number {
    return this.#done;
  }

  /** Fresh, aligned bytes. Throws FormatError where the source ends before. */
  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const chunk = await this.#some();
      if (!chunk) {
        const hint = 'It is truncated: was the download complete?';
        throw new FormatError(explain(this.#where, `${length} bytes from byte ${this.#done} on`, `${at}`, hint));
      }
      const part = chunk.subarray(0, length - at);
      out.set(part, at);
      at += part.length;
      this.#chunk = chunk.subarray(part.length);
    }
    this.#done += length;
    return out;
  }

  /** Passes over bytes. Throws FormatError where the source ends before. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) left -= (await this.take(Math.min(left, SKIPPED_BYTES))).length;
  }

  /** All that is left. */
  async rest(): Promise<Uint8Array<ArrayBuffer>> {
    const parts: Uint8Array[] = [];
    for (let chunk = await this.#some(); chunk; chunk = await this.#some()) {
      parts.push(chunk);
      this.#chunk = chunk.subarray(chunk.length);
    }
    const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    this.#done += out.length;
    return out;
  }

  async #some(): Promise<Uint8Array | undefined> {
    while (this.#chunk.length === 0) {
      const chunk = await this.#next();
      if (!chunk) return undefined;
      this.#chunk = chunk;
    }
    return this.#chunk;
  }
}

/** Bytes that are passed over at once. */
const SKIPPED_BYTES = 1 << 20;

function chunksOf(source: BytesSource, where: string): () => Promise<Uint8Array | undefined> {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    let left: Uint8Array | undefined = source instanceof ArrayBuffer ? new Uint8Array(source) : bytesOf(source);
    return () => {
      const chunk = left;
      left = undefined;
      return Promise.resolve(chunk);
    };
  }
  const reader = streamOf(source, where).getReader();
  return async () => {
    const { value, done } = await reader.read();
    return done ? undefined : value;
  };
}

function streamOf(source: ReadableStream<Uint8Array> | Response, where: string): ReadableStream<Uint8Array> {
  if ('getReader' in source) return source;
  if (!('body' in source)) throw new TypeError(explain(where, 'an ArrayBuffer, a view, a ReadableStream or a Response', typeof source));
  if (!source.ok) throw new FormatError(explain(where, 'an answer of success', `HTTP ${source.status} from ${source.url || 'the server'}`));
  if (!source.body) throw new FormatError(explain(where, 'an answer with a body', 'none, or one that was read already'));
  return source.body;
}

/** Every byte of a source; of bytes that are in memory, a view. Throws FormatError as ByteReader. */
export async function readBytes(source: BytesSource, where: string): Promise<Uint8Array> {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return bytesOf(source);
  return new ByteReader(source, where).rest();
}

/** A JSON object. Throws FormatError. */
export async function readJsonSource(source: JsonSource, where: string): Promise<Readonly<Record<string, unknown>>> {
  if (typeof source === 'string') return parseJsonObject(source, where);
  if (isParsed(source)) return source;
  return parseJsonObject(decodeUtf8(await readBytes(source, where), where), where);
}

function isParsed(source: Exclude<JsonSource, string>): source is Readonly<Record<string, unknown>> {
  const isBytes =
    source instanceof ArrayBuffer || ArrayBuffer.isView(source) || source instanceof ReadableStream || source instanceof Response;
  return !isBytes && isJsonObject(source);
}
