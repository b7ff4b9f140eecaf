/** Runs that stop and go on: bit for bit the run that never stopped, and nobody else's. */
import { beforeAll, describe, expect, test } from 'vitest';
import { FormatError, UnsupportedError } from '../../src/core/errors.ts';
import type { EdgeTrainer, TrainerInput } from '../../src/edge.ts';
import { createTrainer, evaluate, fuse, generate, loadAdapter, loadModel, prune, saveAdapter, saveModel } from '../../src/edge.ts';
import { evaluateModel } from '../../src/train/evaluate.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { collect } from '../shared.ts';
import { JSONL, TOKENIZER, tinyRun, weightsOf } from './inputs.ts';

/** Runs to the end, in a new trainer after every `limits`. */
async function inPieces(
  input: TrainerInput,
  limits: Parameters<EdgeTrainer['run']>[0],
): Promise<{ state: Uint8Array; losses: number[]; pieces: number }> {
  const losses: number[] = [];
  let state: Uint8Array | undefined;
  for (let pieces = 1; ; pieces++) {
    const trainer = await createTrainer({ ...input, state });
    const { updates, done } = await trainer.run(limits);
    losses.push(...updates.map(({ loss }) => loss));
    state = trainer.state();
    if (done) return { state, losses, pieces };
  }
}

/** A clock that goes on by `ms` whenever it is looked at. */
function clock(ms: number): () => number {
  let now = 0;
  return () => (now += ms);
}

describe.each([
  ['lors', {}],
  ['sp-lora', { method: 'sp-lora' }],
  ['lora', { method: 'lora' }],
  ['full', { method: 'full', weightDecay: 0.1 }],
] as const)('a run of %s that stops', (_, options) => {
  let whole: Awaited<ReturnType<typeof inPieces>>;
  const input = tinyRun({ options });
  beforeAll(async () => {
    whole = await inPieces(input, {});
  });

  test.each([
    ['after every batch, within an update as after one', { batches: 1 }, 12],
    ['after three batches', { batches: 3 }, 4],
    ['after every update', { steps: 1 }, 6],
    ['when its time is over', { budgetMs: 35, now: clock(10) }, 4],
  ])('%s', async (_name, limits, pieces) => {
    const got = await inPieces(input, limits);
    expect(got.pieces).toBe(pieces);
    expect(got.losses).toEqual(whole.losses);
    expect(Buffer.compare(got.state, whole.state)).toBe(0);
  });
});

describe('a trainer', () => {
  test('learns: the loss of the last updates is below that of the first', async () => {
    const trainer = await createTrainer(tinyRun({ options: { method: 'full', iters: 60 } }));
    const { updates } = await trainer.run();
    const mean = (of: typeof updates): number => of.reduce((n, { loss }) => n + loss, 0) / of.length;
    expect(mean(updates.slice(-6))).toBeLessThan(mean(updates.slice(0, 6)) * 0.9);
  });

  test('stops after the batch under way when its signal says so, and step() makes one update', async () => {
    const trainer = await createTrainer(tinyRun());
    const abort = new AbortController();
    const { step } = await trainer.run({ signal: abort.signal, onStep: ({ step: done }) => done === 2 && abort.abort() });
    expect(step).toBe(2);
    expect(await trainer.step()).toMatchObject({ step: 3, steps: 6 });
    expect(await trainer.step({ batches: 1 })).toBeUndefined();
    expect(await trainer.step()).toMatchObject({ step: 4 });
  });

  test('two at once do not mix', async () => {
    const [a, b] = [tinyRun(), tinyRun({ data: { jsonl: JSONL.toUpperCase().replaceAll('"TEXT"', '"text"') } })];
    const alone = [await inPieces(a, {}), await inPieces(b, {})];
    const [ta, tb] = [await createTrainer(a), await createTrainer(b)];
    while (!ta.done) {
      await ta.run({ batches: 1 });
      await tb.run({ batches: 1 });
    }
    expect(Buffer.compare(ta.state(), alone[0]!.state)).toBe(0);
    expect(Buffer.compare(tb.state(), alone[1]!.state)).toBe(0);
  });

  test('its adapter, merged model and text are those of the files that it hands out', async () => {
    const trainer = await createTrainer(tinyRun({ valid: { jsonl: JSONL } }));
    await trainer.run();
    const { wasm } = tinyRun();
    const adapter = await loadAdapter(saveAdapter(trainer.adapter()));
    const base = await loadModel(saveModel(trainer.model));
    const common = { wasm, model: base, tokenizer: TOKENIZER, adapter };
    const { perplexity } = await trainer.evaluate();
    const options = { maxSeqLength: 32 };
    expect((await evaluate({ ...common, data: { jsonl: JSONL }, options })).perplexity).toBeCloseTo(perplexity, 4);
    const fused = await loadModel(saveModel(await fuse({ wasm, model: base, adapter })));
    expect((await evaluate({ wasm, model: fused, tokenizer: TOKENIZER, data: { jsonl: JSONL }, options })).perplexity).toBeCloseTo(
      perplexity,
      4,
    );
    expect(saveModel(trainer.fused())).toEqual(saveModel(fused));
    const greedy = { prompt: 'the', temperature: 0, maxTokens: 12 };
    const text = (await collect(trainer.generate(greedy))).join('');
    expect((await collect(generate({ ...common, options: greedy }))).join('')).toBe(text);
    // The mask is kept: as many zeros as the pruned base has, in the same places.
    const zeros = (bytes: Uint8Array): string =>
      Array.from(new Float32Array(bytes.slice(-4 * 1024).buffer), (x) => (x === 0 ? '0' : '.')).join('');
    expect(zeros(saveModel(fused).weights)).toBe(zeros(saveModel(base).weights));
  });

  test('a model that is loaded to generate gives the same text, and is not trained or merged with: its mask is left to its zeros', async () => {
    const run = tinyRun({ options: { method: 'lors', prune: undefined } });
    const { wasm } = run;
    const trainer = await createTrainer(tinyRun({ options: { method: 'lors' } }));
    const files = saveModel(await fuse({ wasm, model: trainer.model, adapter: trainer.adapter(), dtype: 'BF16' }));
    const [any, model] = [await loadModel(files), await loadModel(files, { kernels: 'one token' })];
    expect([...model.linears.values()].every(({ format, pattern }) => format === 'dense' && pattern === '2:4')).toBe(true);
    const say = { wasm, tokenizer: TOKENIZER, options: { prompt: 'the', temperature: 0, maxTokens: 12 } };
    expect(await collect(generate({ ...say, model }))).toEqual(await collect(generate({ ...say, model: any })));
    const refusal = /: expected a weight with its mask, got zeros in place\. Load it without 'one token'\./;
    await expect(createTrainer({ ...run, model })).rejects.toThrow(refusal);
    await expect(createTrainer({ ...run, options: { ...run.options, method: 'full' }, model })).rejects.toThrow(refusal);
    await expect(fuse({ wasm, model, adapter: trainer.adapter() })).rejects.toThrow(refusal);
  });

  test('pruning is that of lors prune, whose result evaluates alike', async () => {
    const model = await loadModel({
      config: (tinyRun().model as { config: object }).config as Record<string, unknown>,
      weights: weightsOf(1),
    });
    const { wasm } = tinyRun();
    const pruned = await prune({ wasm, model, rule: { method: 'magnitude', sparsity: { kind: 'n:m', keep: 2, group: 4 } } });
    expect([...pruned.linears.values()].every(({ pattern }) => pattern === '2:4')).toBe(true);
    const { perplexity } = await evaluate({
      wasm,
      model: pruned,
      tokenizer: TOKENIZER,
      data: { jsonl: JSONL },
      options: { maxSeqLength: 32 },
    });
    const ids = JSONL.split('\n').map((line) => Int32Array.of(0, ...TOKENIZER.encode((JSON.parse(line) as { text: string }).text), 1));
    const sessions = localSessions({ module: kernelModule('plain').module });
    expect(perplexity).toBe(
      (
        await evaluateModel(
          pruned,
          ids.map((i) => ({ ids: i })),
          { maxSeqLength: 32, sessions },
        )
      ).perplexity,
    );
  });

  test('of a whole model has no adapter to hand out', async () => {
    const trainer = await createTrainer(tinyRun({ options: { method: 'full' } }));
    expect(() => trainer.adapter()).toThrow(UnsupportedError);
  });
});

describe('a state is refused, naming what differs,', () => {
  let state: Uint8Array;
  beforeAll(async () => {
    const trainer = await createTrainer(tinyRun());
    await trainer.run({ batches: 3 });
    state = trainer.state();
  });

  test.each<[string, Partial<TrainerInput>, RegExp]>([
    ['of another rank', { options: { rank: 8 } }, /state: rank: expected 4 as in the interrupted run, got 8/],
    ['of another learning rate', { options: { learningRate: 1e-3 } }, /state: learningRate: expected 0\.01 /],
    ['of other data', { data: { jsonl: JSONL.replace('cat', 'cow') } }, /state: data: expected /],
    ['of another model', { model: { config: tinyConfig(), weights: weightsOf(2) } }, /state: model: expected /],
    ['of another mask', { options: { prune: 'magnitude' } }, /state: model: expected /],
  ])('%s', async (_, changes, message) => {
    const refused = createTrainer(tinyRun({ ...changes, state }));
    await expect(refused).rejects.toThrow(FormatError);
    await expect(refused).rejects.toThrow(message);
  });

  test('of another build', async () => {
    const other = Buffer.from(
      Buffer.from(state)
        .toString('latin1')
        .replace(/"version":"\d+\.\d+\.\d+"/, '"version":"9.9.9"'),
      'latin1',
    );
    await expect(createTrainer(tinyRun({ state: new Uint8Array(other) }))).rejects.toThrow(
      /state: expected a run of lors-wasm .*, got one of 9\.9\.9\. Another version/,
    );
  });

  test('that is cut short, or is something else', async () => {
    await expect(createTrainer(tinyRun({ state: state.slice(0, -100) }))).rejects.toThrow(FormatError);
    await expect(createTrainer(tinyRun({ state: weightsOf(1) }))).rejects.toThrow(/state: expected lors-wasm training state/);
  });
});

function tinyConfig(): Record<string, unknown> {
  return (tinyRun().model as { config: Record<string, unknown> }).config;
}
