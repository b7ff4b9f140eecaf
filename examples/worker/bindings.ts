/** What this Worker uses of its runtime, and what it is bound to (wrangler.jsonc, or miniflare's options). */

export interface Bucket {
  get(key: string): Promise<{ readonly body: ReadableStream<Uint8Array> } | null>;
}

export interface Storage {
  get<T>(key: string): Promise<T | undefined>;
  put(key: string, value: unknown): Promise<void>;
  delete(keys: string[]): Promise<number>;
  transaction<T>(run: (storage: Storage) => Promise<T>): Promise<T>;
}

export interface DurableState {
  readonly storage: Storage;
}

export interface Namespace {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(request: Request): Promise<Response> };
}

export interface Env {
  /** Models by name: NAME/config.json, NAME/model.safetensors, NAME/tokenizer.json, NAME/tokenizer_config.json. */
  readonly MODELS: Bucket;
  /** One object an adapter. */
  readonly ADAPTERS: Namespace;
  /** Most bytes of a body of examples. */
  readonly MAX_BODY_BYTES: number;
  /** Most bytes that a run, or a generation, may plan: an isolate has 128 MB for all that is in it. */
  readonly MEMORY_BYTES: number;
  /** Batches that a request runs when it does not say: what stays below the CPU limit. */
  readonly BATCHES: number;
}
