/** Models, kernels and text in every way that a host hands them over, and what is refused of them, memory included. */
import { describe, expect, test } from 'vitest';
import { FormatError, MemoryBudgetError, UnsupportedError } from '../../src/core/errors.ts';
import { VERSION } from '../../src/core/version.ts';
import { compileKernels, createTrainer, loadModel, saveModel, streamModel } from '../../src/edge.ts';
import { openSafetensorsStream } from '../../src/io/safetensorsStream.ts';
import { ByteReader } from '../../src/edge/bytes.ts';
import { encodeSafetensors, parseSafetensors } from '../../src/io/safetensorsFormat.ts';
import { probeFlavour } from '../../src/kernels/load.ts';
import { parseConfig } from '../../src/models/config.ts';
import { initializeModel } from '../../src/models/init.ts';
import { modelTensors } from '../../src/models/model.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { CONFIG, JSONL, roundTrip, streamOf, tinyRun, wasmBytes, weightsOf } from './inputs.ts';

const WEIGHTS = weightsOf(1);

/** The weights in two files, the second half of the tensors first. */
function shards(): [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const tensors = [...modelTensors(initializeModel(parseConfig(CONFIG, 'tiny'), 1))];
  return [encodeSafetensors(tensors.slice(9).reverse()), encodeSafetensors(tensors.slice(0, 9))];
}

describe('a model is the same, whether it comes', () => {
  test.each<[string, () => Parameters<typeof loadModel>[0]['weights']]>([
    ['as an ArrayBuffer', () => WEIGHTS.buffer],
    ['as a view that is not aligned', () => new Uint8Array([1, ...WEIGHTS]).subarray(1)],
    ['as a stream', () => streamOf(WEIGHTS)],
    ['as the answer of a fetch', () => new Response(WEIGHTS)],
    ['as shards, their tensors in another order', shards],
    ['as streams of shards', () => shards().map((shard) => streamOf(shard, 1001))],
    ['as the stream of a model in memory', () => streamModel(initializeModel(parseConfig(CONFIG, 'tiny'), 1))],
  ])('%s', async (_, weights) => {
    expect(Buffer.compare(await roundTrip(weights()), await roundTrip(WEIGHTS))).toBe(0);
    expect([...parseSafetensors(await roundTrip(weights())).names()].sort()).toEqual([...parseSafetensors(WEIGHTS).names()].sort());
  });
});

describe('a model is refused', () => {
  const load = (weights: Parameters<typeof loadModel>[0]['weights'], config: object = CONFIG): Promise<unknown> =>
    loadModel({ name: 'tiny', config: config as Record<string, unknown>, weights });

  test('whose stream ends early, or late', async () => {
    await expect(load(streamOf(WEIGHTS.slice(0, -5)))).rejects.toThrow(
      /model\.safetensors: expected \d+ bytes from byte \d+ on, got \d+\. It is truncated/,
    );
    await expect(load(streamOf(Uint8Array.of(...WEIGHTS, 1, 2)))).rejects.toThrow(
      /expected its end after the last tensor, got 2 more bytes/,
    );
  });

  test('whose fetch failed', async () => {
    await expect(load(new Response('no', { status: 404 }))).rejects.toThrow(/expected an answer of success, got HTTP 404/);
  });

  test('a tensor of which stands in two shards, or in none', async () => {
    await expect(load([WEIGHTS, WEIGHTS])).rejects.toThrow(/expected it in one shard, got it in two/);
    await expect(load(shards()[0])).rejects.toThrow(FormatError);
  });

  test('that is no Llama', async () => {
    await expect(load(WEIGHTS, { ...CONFIG, model_type: 'gpt2' })).rejects.toThrow(UnsupportedError);
  });

  test('that is something else than bytes', async () => {
    await expect(load(7 as never)).rejects.toThrow(TypeError);
  });
});

test('tensors that are not asked for are passed over', async () => {
  const file = await openSafetensorsStream(new ByteReader(streamOf(WEIGHTS), 'x'), 'x');
  const read: string[] = [];
  for await (const { tensor } of file.read((name) => name.includes('norm'))) read.push(tensor);
  expect(read.length).toBe(5);
});

describe('kernels', () => {
  test.each<[string, () => Parameters<typeof compileKernels>[0]]>([
    ['bytes', () => wasmBytes('plain')],
    ['a module', () => new WebAssembly.Module(wasmBytes('plain'))],
    ['a response', () => new Response(wasmBytes('plain'), { headers: { 'content-type': 'application/wasm' } })],
    ['a response of another type', () => Promise.resolve(new Response(wasmBytes('plain')))],
    ['a function', () => () => wasmBytes('plain')],
  ])('from %s', async (_, wasm) => {
    expect((await compileKernels(wasm())).arithmetic).toBe('rounded');
  });

  test.skipIf(probeFlavour() === 'plain')('of a pair, the faster is taken and the other not asked for', async () => {
    const asked: string[] = [];
    const give = (flavour: 'plain' | 'relaxed') => () => {
      asked.push(flavour);
      return wasmBytes(flavour);
    };
    await compileKernels({ plain: give('plain'), relaxed: give('relaxed') });
    expect(asked).toEqual(['relaxed']);
  });

  test('that are not ours are refused', async () => {
    await expect(compileKernels(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))).rejects.toThrow(/wasm: expected the kernels of lors-wasm/);
  });
});

describe('data is refused', () => {
  test.each([
    ['that is not JSON', { jsonl: '{"text": "a b c"}\nnonsense' }, /data line 2: not JSON/],
    ['of rows of no kind', { jsonl: '{"foo": 1}' }, /data line 1: expected \{text\}/],
    ['of nothing', { jsonl: ' \n' }, /data: expected at least one document, got none/],
    ['that is not UTF-8', { jsonl: Uint8Array.of(0xff, 0xfe) }, /data: expected UTF-8/],
  ])('%s', async (_, data, message) => {
    await expect(createTrainer(tinyRun({ data }))).rejects.toThrow(message);
  });
});

describe('memory', () => {
  test('is refused before a byte of a tensor is read where the tables alone are too large', async () => {
    let pulled = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (pulled > 4) throw new Error('read on');
          controller.enqueue(WEIGHTS.slice(pulled++ * 1024, pulled * 1024));
        },
      },
      { highWaterMark: 0 },
    );
    const refused = loadModel({ config: CONFIG, weights: source }, { memoryBytes: 16.01e6 });
    await expect(refused).rejects.toThrow(MemoryBudgetError);
    await expect(refused).rejects.toThrow(/loading model needs at least 16\.0 MB \(host 16\.0 MB, .*\), but memoryBytes is 16\.0 MB/);
    expect(pulled).toBeLessThan(5);
  });

  test('is refused by the plan, which is named', async () => {
    const refused = createTrainer(tinyRun({ memoryBytes: 16.3e6, options: { prune: undefined } }));
    await expect(refused).rejects.toThrow(MemoryBudgetError);
    await expect(refused).rejects.toThrow(/the plan needs .* activations .* but it may have .* memoryBytes, host 16\.0 MB, packed model /);
  });

  test('weights are fetched and activations made again before anything is refused, and no bit changes', async () => {
    const run = tinyRun({ options: { prune: undefined } });
    const roomy = await createTrainer(run);
    // Just less than what is planned without a limit.
    const held = 16e6 + WEIGHTS.length + JSONL.length * 5;
    const tight = await createTrainer({ ...run, memoryBytes: held + roomy.plan.arenaBytes - 30_000 });
    expect(roomy.plan).toMatchObject({ staged: false, recomputedBlocks: 0, recomputedMlps: 0 });
    expect(tight.plan.staged || tight.plan.recomputedBlocks + tight.plan.recomputedMlps > 0).toBe(true);
    expect(tight.plan.arenaBytes).toBeLessThan(roomy.plan.arenaBytes);
    await roomy.run();
    await tight.run();
    expect(Buffer.compare(tight.state(), roomy.state())).toBe(0);
  });
});

test('the version in a state is that of the package', () => {
  expect(VERSION).toBe(packageJson.version);
});

test('the weights that are written are those that were read', async () => {
  const model = await loadModel({ config: CONFIG, weights: WEIGHTS });
  expect(saveModel(model, { dtype: 'BF16' }).config['torch_dtype']).toBe('bfloat16');
  expect(saveModel(model).weights.length).toBeGreaterThan(WEIGHTS.length - 1000);
});
