/**
 * Fine-tuning as a service in a Cloudflare Worker: an adapter is a Durable Object, models are in R2.
 *
 *   POST /adapters/NAME?model=base&iters=40     JSONL of examples
 *   POST /adapters/NAME/step?batches=8          trains a little; again until `done`
 *   GET  /adapters/NAME                         how far it is
 *   POST /adapters/NAME/generate                {"prompt": ...}: text with this adapter
 *   GET  /adapters/NAME/adapter_model.safetensors, /adapters/NAME/adapter_config.json
 *   POST /generate?model=base                   {"prompt": ...}: text without any
 */
import { generate } from 'lors-wasm/edge';
import type { Env } from './bindings.ts';
import { HttpError, answered, bodyJson, json } from './http.ts';
import { baseOf, wasm } from './models.ts';

export { Adapter } from './adapter.ts';

export default {
  fetch: (request: Request, env: Env): Promise<Response> => answered(() => route(request, env)),
};

async function route(request: Request, env: Env): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const name = /^\/adapters\/([\w.-]{1,64})(?:\/|$)/.exec(pathname)?.[1];
  if (name) return env.ADAPTERS.get(env.ADAPTERS.idFromName(name)).fetch(request);
  if (request.method !== 'POST' || pathname !== '/generate')
    throw new HttpError(404, `${request.method} ${pathname}: there is no such thing.`);
  const options = (await bodyJson(request, 100_000)) as { prompt: string };
  const base = await baseOf(searchParams.get('model') ?? 'base', env);
  let text = '';
  for await (const piece of generate({ wasm, ...base, memoryBytes: env.MEMORY_BYTES, options })) text += piece;
  return json({ text });
}
