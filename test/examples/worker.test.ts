/** The Worker of examples/worker in the real runtime: what tenants see of each other, what a cut loses, and what is refused. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSafetensors } from '../../src/io/safetensorsFormat.ts';
import { loadAdapter } from '../../src/edge.ts';
import { temporaryDirectory } from '../io/temporary.ts';

const WHALES = ['The whale is a great fish.', 'A whale swims in the cold sea.', 'The ship sails after the whale.'];
const TAXES = ['The tax is to be paid in gold.', 'Congress makes the laws of the land.', 'The treaty was signed in peace.'];
const OPTIONS = 'iters=6&gradAccumulationSteps=2&maxSeqLength=32&rank=4&learningRate=0.005';

const jsonl = (texts: readonly string[]): string => texts.map((text) => JSON.stringify({ text })).join('\n');

interface Answer {
  readonly status: number;
  readonly body: {
    readonly error?: string;
    readonly step?: number;
    readonly done?: boolean;
    readonly text?: string;
    readonly losses?: number[];
  };
}

const root = temporaryDirectory();
const built = join(root, 'built');
let worker: Miniflare;

/** A Worker over what earlier ones have kept. */
function startWorker(): Miniflare {
  const file = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(built, name)));
  return new Miniflare({
    modules: [
      { type: 'ESModule', path: 'worker.js', contents: file('worker.js') },
      { type: 'CompiledWasm', path: 'plain.wasm', contents: file('plain.wasm') },
      { type: 'CompiledWasm', path: 'relaxed.wasm', contents: file('relaxed.wasm') },
    ],
    compatibilityDate: '2026-03-01',
    bindings: { MAX_BODY_BYTES: 20_000, MEMORY_BYTES: 90e6, BATCHES: 4 },
    r2Buckets: ['MODELS'],
    r2Persist: join(root, 'r2'),
    durableObjects: { ADAPTERS: { className: 'Adapter', useSQLite: true } },
    durableObjectsPersist: join(root, 'objects'),
  });
}

/** Puts files into the bucket of models. */
async function putModel(name: string, files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>): Promise<void> {
  const bucket = (await worker.getR2Bucket('MODELS')) as unknown as { put(key: string, value: string | ArrayBuffer): Promise<unknown> };
  for (const [path, data] of Object.entries(files))
    await bucket.put(`${name}/${path}`, typeof data === 'string' ? data : data.slice().buffer);
}

const builtFile = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(join(built, 'model', name)));

async function ask(method: string, path: string, body?: string, signal?: AbortSignal): Promise<Answer> {
  const response = await worker.dispatchFetch(`http://worker${path}`, {
    method,
    ...(body !== undefined && { body }),
    ...(signal && { signal }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

async function bytesOf(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await worker.dispatchFetch(`http://worker${path}`)).arrayBuffer());
}

/** Steps until an adapter is done. */
async function finish(name: string, batches: number): Promise<number[]> {
  const losses: number[] = [];
  for (;;) {
    const { status, body } = await ask('POST', `/adapters/${name}/step?batches=${batches}`);
    expect(status, body.error).toBe(200);
    losses.push(...body.losses!);
    if (body.done) return losses;
  }
}

async function train(name: string, texts: readonly string[], batches: number): Promise<Uint8Array<ArrayBuffer>> {
  expect(await ask('POST', `/adapters/${name}?${OPTIONS}`, jsonl(texts))).toMatchObject({ status: 201, body: { steps: 6 } });
  await finish(name, batches);
  return bytesOf(`/adapters/${name}/adapter_model.safetensors`);
}

beforeAll(async () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../examples/worker/build.mjs', import.meta.url)), built]);
  worker = startWorker();
  const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
  await putModel('base', Object.fromEntries(names.map((name) => [name, builtFile(name)])));
}, 300_000);

afterAll(async () => {
  await worker.dispose();
});

describe('the worker', () => {
  let whales: Uint8Array;
  let taxes: Uint8Array;
  beforeAll(async () => {
    whales = await train('whales', WHALES, 12);
    taxes = await train('taxes', TAXES, 12);
  }, 300_000);

  test('trains, and hands the adapter out as PEFT-named safetensors', async () => {
    expect([...parseSafetensors(whales).names()]).toContain('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight');
    const config = (await (await worker.dispatchFetch('http://worker/adapters/whales/adapter_config.json')).json()) as Record<
      string,
      unknown
    >;
    const adapter = await loadAdapter({ config, weights: whales });
    expect(adapter.config).toMatchObject({ method: 'lors', rank: 4, baseModel: 'base' });
    expect(await ask('GET', '/adapters/whales')).toMatchObject({ status: 200, body: { step: 6, done: true } });
  });

  test('two tenants in turn, a batch each, get what each gets alone', async () => {
    for (const [name, texts] of [
      ['whales-2', WHALES],
      ['taxes-2', TAXES],
    ] as const)
      await ask('POST', `/adapters/${name}?${OPTIONS}`, jsonl(texts));
    for (let batch = 0; batch < 12; batch++) {
      await Promise.all([ask('POST', '/adapters/whales-2/step?batches=1'), ask('POST', '/adapters/taxes-2/step?batches=1')]);
    }
    expect(Buffer.compare(await bytesOf('/adapters/whales-2/adapter_model.safetensors'), whales)).toBe(0);
    expect(Buffer.compare(await bytesOf('/adapters/taxes-2/adapter_model.safetensors'), taxes)).toBe(0);
    expect(Buffer.compare(whales, taxes)).not.toBe(0);
  });

  test('generates with the adapter that is asked for, or with none', async () => {
    const prompt = JSON.stringify({ prompt: 'The', temperature: 0, maxTokens: 12 });
    const texts = await Promise.all(
      ['/adapters/whales/generate', '/adapters/taxes/generate', '/generate'].map((path) => ask('POST', path, prompt)),
    );
    expect(texts.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(texts.map(({ body }) => body.text)).size).toBe(3);
  });

  test('a request that its client gives up loses nothing', async () => {
    await ask('POST', `/adapters/left?${OPTIONS}`, jsonl(WHALES));
    await ask('POST', '/adapters/left/step?batches=3');
    const abort = new AbortController();
    const given = ask('POST', '/adapters/left/step?batches=5', undefined, abort.signal);
    setTimeout(() => abort.abort(), 30);
    await expect(given).rejects.toThrow();
    // The object may still be at work for the one who left.
    while ((await ask('POST', '/adapters/left/step?batches=1')).status === 409) await new Promise((resolve) => setTimeout(resolve, 20));
    await finish('left', 2);
    expect(Buffer.compare(await bytesOf('/adapters/left/adapter_model.safetensors'), whales)).toBe(0);
  });

  test('an isolate that ends in the middle of a request loses no more than that request', async () => {
    await ask('POST', `/adapters/cut?${OPTIONS}`, jsonl(TAXES));
    await ask('POST', '/adapters/cut/step?batches=3');
    const cut = ask('POST', '/adapters/cut/step?batches=9').catch(() => 'cut');
    await new Promise((resolve) => setTimeout(resolve, 30));
    await worker.dispose();
    await cut;
    worker = startWorker();
    const { body } = await ask('GET', '/adapters/cut');
    // Steps of two batches; three batches were done, and every four after them are kept.
    expect([1, 3, 5, 6]).toContain(body.step);
    if (!body.done) await finish('cut', 4);
    expect(Buffer.compare(await bytesOf('/adapters/cut/adapter_model.safetensors'), taxes)).toBe(0);
  });
});

describe('is refused with a word', () => {
  test.each<[string, string, string, string | undefined, number, RegExp]>([
    [
      'a body too large',
      'POST',
      '/adapters/x',
      jsonl(Array.from({ length: 900 }, () => WHALES[0]!)),
      413,
      /body: expected at most 20000 bytes/,
    ],
    ['a body that is not JSON', 'POST', '/adapters/x', 'hello', 400, /data line 1: not JSON/],
    ['an empty body', 'POST', '/adapters/x', '', 400, /data: expected at least one document/],
    ['rows of no kind', 'POST', '/adapters/x', '{"foo":1}', 400, /expected \{text\}/],
    ['an option that there is not', 'POST', '/adapters/x?speed=9', jsonl(WHALES), 400, /query: expected some of .*, got speed/],
    ['an option out of range', 'POST', '/adapters/x?rank=0', jsonl(WHALES), 400, /--rank: expected a whole number of at least 1, got 0/],
    ['a model that there is not', 'POST', '/adapters/x?model=none', jsonl(WHALES), 404, /model none: expected config\.json in the bucket/],
    ['a step before there are examples', 'POST', '/adapters/x/step', undefined, 404, /no examples yet/],
    ['no prompt', 'POST', '/generate', '{}', 400, /--prompt: expected text to go on from, got none/],
    ['a prompt that is not JSON', 'POST', '/generate', 'hello', 400, /body: expected a JSON object/],
    ['anything else', 'GET', '/', undefined, 404, /there is no such thing/],
  ])('%s', async (_, method, path, body, status, message) => {
    const answer = await ask(method, path, body);
    expect(answer.status, answer.body.error).toBe(status);
    expect(answer.body.error).toMatch(message);
  });

  test('a second set of examples', async () => {
    expect(await ask('POST', `/adapters/whales?${OPTIONS}`, jsonl(TAXES))).toMatchObject({ status: 409 });
  });

  test('a model too big for the isolate, by its header alone; and a batch too big, by its plan', async () => {
    const config = JSON.parse(readFileSync(join(built, 'model', 'config.json'), 'utf8')) as Record<string, number>;
    const rows = 400_000;
    let begin = 0;
    const header: Record<string, object> = {};
    for (const [name, { dtype, shape }] of parseSafetensors(builtFile('model.safetensors')).tensors) {
      const grown = name === 'model.embed_tokens.weight' ? [rows, shape[1]!] : shape;
      const end = begin + grown.reduce((a, b) => a * b, dtype === 'F32' ? 4 : 2);
      header[name] = { dtype, shape: grown, data_offsets: [begin, end] };
      begin = end;
    }
    const text = new TextEncoder().encode(JSON.stringify(header));
    const headOnly = new Uint8Array(8 + text.length);
    new DataView(headOnly.buffer).setBigUint64(0, BigInt(text.length), true);
    headOnly.set(text, 8);
    await putModel('big', {
      'config.json': JSON.stringify({ ...config, vocab_size: rows }),
      'model.safetensors': headOnly,
      'tokenizer.json': builtFile('tokenizer.json'),
      'tokenizer_config.json': builtFile('tokenizer_config.json'),
    });
    const big = await ask('POST', '/adapters/x?model=big', jsonl(WHALES));
    expect(big).toMatchObject({ status: 413 });
    expect(big.body.error).toMatch(/memory: loading big needs at least \d+ MB .* but memoryBytes is 90\.0 MB/);
    const long = Array.from({ length: 60 }, () => WHALES.join(' ').repeat(3));
    const wide = await ask('POST', '/adapters/x?batchSize=64&maxSeqLength=128&method=full', jsonl(long));
    expect(wide).toMatchObject({ status: 413 });
    expect(wide.body.error).toMatch(/memory: the plan needs .* activations .* but it may have/);
  });
});
