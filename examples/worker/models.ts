/** Models of the bucket, loaded once an isolate and shared by the adapters in it; and the kernels, which are imported modules. */
import type { LlamaModel, Tokenizer } from 'lors-wasm/edge';
import { loadModel, loadTokenizer } from 'lors-wasm/edge';
import plain from 'lors-wasm/plain.wasm';
import relaxed from 'lors-wasm/relaxed.wasm';
import type { Env } from './bindings.ts';
import { HttpError } from './http.ts';

export const wasm = { plain, relaxed };

export interface Base {
  readonly model: LlamaModel;
  readonly tokenizer: Tokenizer;
}

const loading = new Map<string, Promise<Base>>();

/** A model of the bucket. Throws HttpError 404 where there is none, MemoryBudgetError where it is too large. */
export function baseOf(name: string, env: Env): Promise<Base> {
  let base = loading.get(name);
  if (!base) {
    base = load(name, env);
    loading.set(name, base);
    // What failed once may be there the next time.
    base.catch(() => loading.delete(name));
  }
  return base;
}

async function load(name: string, env: Env): Promise<Base> {
  const file = async (path: string): Promise<ReadableStream<Uint8Array>> => {
    const object = await env.MODELS.get(`${name}/${path}`);
    if (!object) throw new HttpError(404, `model ${name}: expected ${path} in the bucket, got nothing.`);
    return object.body;
  };
  const model = await loadModel(
    { name, config: await file('config.json'), weights: await file('model.safetensors') },
    { memoryBytes: env.MEMORY_BYTES },
  );
  const tokenizer = await loadTokenizer({ name, json: await file('tokenizer.json'), config: await file('tokenizer_config.json') });
  return { model, tokenizer };
}
