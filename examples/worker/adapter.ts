/**
 * One adapter: its examples, its options, and how far its training is. The trainer lives as long as this object does; after that,
 * another one goes on from the state in storage, bit for bit.
 */
import type { EdgeOptions } from 'lors-wasm/edge';
import { EdgeTrainer, createTrainer, saveAdapter } from 'lors-wasm/edge';
import type { DurableState, Env, Storage } from './bindings.ts';
import { getBytes, putBytes } from './chunks.ts';
import { HttpError, answered, bodyJson, bodyText, json } from './http.ts';
import { baseOf, wasm } from './models.ts';

interface Run {
  readonly model: string;
  readonly options: EdgeOptions;
}

/** Options that a query may give: the command's names and defaults. Numbers are read as such. */
const NUMBERS = [
  'iters',
  'epochs',
  'rank',
  'alpha',
  'batchSize',
  'gradAccumulationSteps',
  'maxSeqLength',
  'learningRate',
  'warmup',
  'seed',
];
const TEXTS = ['method', 'gradient', 'lrSchedule'];

const DEFAULTS = { batchSize: 1, maxSeqLength: 128, rank: 8 } satisfies EdgeOptions;

export class Adapter {
  readonly #storage: Storage;
  readonly #env: Env;
  #trainer: EdgeTrainer | undefined;
  #busy = false;

  constructor(state: DurableState, env: Env) {
    this.#storage = state.storage;
    this.#env = env;
  }

  fetch(request: Request): Promise<Response> {
    return answered(() => this.#handle(request));
  }

  async #handle(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const what = `${request.method} ${pathname.split('/').slice(3).join('/')}`;
    switch (what) {
      case 'POST ':
        return this.#alone(() => this.#begin(request, searchParams));
      case 'POST step':
        return this.#alone(() => this.#step(Number(searchParams.get('batches') ?? this.#env.BATCHES)));
      case 'POST generate':
        return this.#alone(() => this.#generate(request));
      case 'GET ':
        return json(await this.#status());
      case 'GET adapter_model.safetensors':
        return new Response((await this.#files()).weights, { headers: { 'content-type': 'application/octet-stream' } });
      case 'GET adapter_config.json':
        return json((await this.#files()).config);
      default:
        throw new HttpError(404, `${request.method} ${pathname}: there is no such thing.`);
    }
  }

  /** Takes examples. Everything that can be refused is, before anything is kept. */
  async #begin(request: Request, query: URLSearchParams): Promise<Response> {
    if (await this.#storage.get('run')) throw new HttpError(409, 'This adapter has its examples already.');
    const jsonl = await bodyText(request, this.#env.MAX_BODY_BYTES);
    const run: Run = { model: query.get('model') ?? 'base', options: optionsOf(query) };
    const trainer = await this.#open(run, jsonl);
    await putBytes(this.#storage, 'examples', new TextEncoder().encode(jsonl));
    await this.#storage.put('run', run);
    this.#trainer = trainer;
    return json({ step: 0, steps: trainer.steps, trainableParameters: trainer.trainableParameters, plan: trainer.plan }, 201);
  }

  /** Trains a little, and keeps what came of it. */
  async #step(batches: number): Promise<Response> {
    if (!(Number.isInteger(batches) && batches > 0)) throw new HttpError(400, 'batches: expected a whole number above 0.');
    const trainer = await this.#resumed();
    try {
      // Kept every few batches: a request that is cut off, or asks for more than its CPU time, loses no more than those.
      const losses: number[] = [];
      for (let left = batches; left > 0 && !trainer.done; left -= this.#env.BATCHES) {
        const { updates } = await trainer.run({ batches: Math.min(left, this.#env.BATCHES) });
        await putBytes(this.#storage, 'state', trainer.state());
        losses.push(...updates.map(({ loss }) => loss));
      }
      const { stepsDone: step, steps, done } = trainer;
      return json({ step, steps, done, losses });
    } catch (error) {
      // What was not kept is not gone on from.
      this.#trainer = undefined;
      throw error;
    }
  }

  async #generate(request: Request): Promise<Response> {
    const options = await bodyJson(request, 100_000);
    const trainer = await this.#resumed();
    let text = '';
    for await (const piece of trainer.generate(options as { prompt: string })) text += piece;
    return json({ text });
  }

  async #status(): Promise<object> {
    const run = await this.#storage.get<Run>('run');
    if (!run) throw new HttpError(404, 'This adapter has no examples yet: POST them.');
    const { stepsDone: step, steps, done } = await this.#resumed();
    return { ...run, step, steps, done };
  }

  async #files(): Promise<ReturnType<typeof saveAdapter>> {
    return saveAdapter((await this.#resumed()).adapter());
  }

  /** The trainer, where it stands or from storage. */
  async #resumed(): Promise<EdgeTrainer> {
    if (this.#trainer) return this.#trainer;
    const run = await this.#storage.get<Run>('run');
    const examples = await getBytes(this.#storage, 'examples');
    if (!run || !examples) throw new HttpError(404, 'This adapter has no examples yet: POST them.');
    const trainer = await this.#open(run, new TextDecoder().decode(examples), await getBytes(this.#storage, 'state'));
    return (this.#trainer ??= trainer);
  }

  async #open({ model: name, options }: Run, jsonl: string, state?: Uint8Array): Promise<EdgeTrainer> {
    const { model, tokenizer } = await baseOf(name, this.#env);
    return createTrainer({ wasm, model, tokenizer, data: { jsonl }, options, memoryBytes: this.#env.MEMORY_BYTES, state });
  }

  /** One request at a time changes or uses the trainer; reading how far it is may go on beside. */
  async #alone(run: () => Promise<Response>): Promise<Response> {
    if (this.#busy) throw new HttpError(409, 'This adapter is at work for another request: try again.');
    this.#busy = true;
    try {
      return await run();
    } finally {
      this.#busy = false;
    }
  }
}

function optionsOf(query: URLSearchParams): EdgeOptions {
  const given: Record<string, unknown> = {};
  for (const [name, value] of query) {
    if (name === 'model') continue;
    if (NUMBERS.includes(name)) given[name] = Number(value);
    else if (TEXTS.includes(name)) given[name] = value;
    else throw new HttpError(400, `query: expected some of model, ${[...NUMBERS, ...TEXTS].join(', ')}, got ${name}.`);
  }
  return { ...DEFAULTS, ...given };
}
