import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { MemoryBudgetError } from '../../src/core/errors.ts';
import { fileHome, homeOf, stagedHome } from '../../src/io/homes.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { loadModel } from '../../src/io/model.ts';
import { modelTensors } from '../../src/models/model.ts';
import { Arena } from '../../src/runtime/arena.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { generate } from '../../src/tasks/generate.ts';
import { prune } from '../../src/tasks/prune.ts';
import type { RecomputeChoice } from '../../src/train/recompute.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { goldenTraining, sequences, wandaModel } from '../golden/stories.ts';
import { collect } from '../shared.ts';
import { run, STORIES, temporaryDirectory, withShared, writeStories } from './workspace.ts';

withShared('where weights live', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  let data: string;
  beforeAll(async () => {
    data = writeStories(at('data'), 12);
    await prune({ model: STORIES, out: at('pruned'), method: 'magnitude' });
    await prune({ model: STORIES, out: at('sparse'), method: 'magnitude', sparsity: '0.8' });
    await prune({ model: STORIES, out: at('blocks'), method: 'magnitude', sparsity: '4x1:70%' });
  });

  test('a home is in shared memory: views of another would end when it grows', () => {
    for (const home of [homeOf, stagedHome, (arena: Arena) => fileHome(arena, root)])
      expect(() => home(new Arena(false))).toThrow('expected shared memory, got a local one');
  });

  test.each(['pruned', 'sparse', 'blocks', 'dense'])('every home gives the same tensors (%s)', (name) => {
    // Digests: the differences of whole tensors would take minutes to print.
    const tensors = (home?: Parameters<typeof loadModel>[1]): string[] =>
      [...modelTensors(loadModel(name === 'dense' ? STORIES : at(name), home))].map(
        ({ name: tensor, data: make }) => `${tensor} ${createHash('sha256').update(make()).digest('hex')}`,
      );
    const plain = tensors();
    expect(tensors(homeOf(new Arena(true)))).toEqual(plain);
    expect(tensors(stagedHome(new Arena(true)))).toEqual(plain);
    expect(tensors(fileHome(new Arena(true), root))).toEqual(plain);
  });

  test('weights in the arena are not copied again when a session is opened', () => {
    const arena = new Arena(true);
    const model = loadModel(at('pruned'), homeOf(arena));
    const before = arena.end;
    const trainer = new Trainer(model, options(model, { module: kernelModule('plain', true).module, arena }));
    expect(trainer.layout.pinned['weight']).toBeGreaterThan(0);
    expect(trainer.layout.bytes - before).toBeLessThan(trainer.layout.bytes - 0.9 * trainer.layout.pinned['weight']!);
  });

  test.each(['arena', 'memory', 'file'] as const)('training, evaluation and text are the same from %s', async (weights) => {
    const out = at(`tuned-${weights}`);
    const common = { model: at('pruned'), data, maxSeqLength: 64 };
    await run({ ...common, out, weights, iters: 3, rank: 4, batchSize: 2 });
    const reference = at('reference');
    if (!fs.existsSync(reference)) await run({ ...common, out: reference, iters: 3, rank: 4, batchSize: 2, threads: 1 });
    const adapter = (directory: string): Buffer => fs.readFileSync(join(directory, 'adapter_model.safetensors'));
    expect(adapter(out).equals(adapter(reference))).toBe(true);
    expect(
      fs.readdirSync(out).filter((name) => name.includes('packed')),
      'the file of weights is gone',
    ).toEqual([]);
    expect((await evaluate({ ...common, weights, adapter: out })).loss).toBe((await evaluate({ ...common, adapter: reference })).loss);
    const say = { model: at('pruned'), prompt: 'Once', maxTokens: 12, temperature: 0 };
    expect(await collect(generate({ ...say, weights }))).toEqual(await collect(generate(say)));
  });
});

function options(
  model: ReturnType<typeof wandaModel>,
  session: Parameters<typeof localSessions>[0],
  recompute: RecomputeChoice = 'auto',
): ConstructorParameters<typeof Trainer>[1] {
  return {
    training: goldenTraining(model, 'lors'),
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
    batchTokens: 256,
    maxSeqLength: 96,
    recompute,
    sessions: localSessions(session),
  };
}

withShared('recomputation under a budget', () => {
  const { module } = kernelModule('plain');
  const model = wandaModel();
  const trainer = (recompute: RecomputeChoice, memoryBytes?: number): Trainer =>
    new Trainer(model, options(model, { module, memoryBytes }, recompute));
  const { layers } = model.config;
  const none = trainer('none');
  const mlp = trainer('mlp');
  const block = trainer('block');

  describe('auto', () => {
    test('recomputes nothing where everything fits, and all where only that does', () => {
      expect(none.recomputed).toEqual({ blocks: 0, mlps: 0 });
      expect(mlp.recomputed).toEqual({ blocks: 0, mlps: layers });
      expect(block.recomputed).toEqual({ blocks: layers, mlps: 0 });
      expect(trainer('auto').recomputed).toEqual(none.recomputed);
      expect(trainer('auto', none.layout.bytes).recomputed).toEqual(none.recomputed);
      expect(trainer('auto', block.layout.bytes).layout.bytes).toBeLessThanOrEqual(block.layout.bytes);
      expect(mlp.layout.bytes).toBeLessThan(none.layout.bytes);
      expect(block.layout.bytes).toBeLessThan(mlp.layout.bytes);
    });

    test('recomputes as few MLPs as it takes, then blocks, and changes no bit', async () => {
      const between = ({ layout: a }: Trainer, { layout: b }: Trainer): number => Math.round((a.bytes + b.bytes) / 2);
      const some = trainer('auto', between(none, mlp));
      expect(some.recomputed).toEqual({ blocks: 0, mlps: expect.any(Number) as number });
      expect(some.recomputed.mlps).toBeGreaterThan(0);
      expect(some.recomputed.mlps).toBeLessThan(layers);
      expect(some.layout.bytes).toBeLessThanOrEqual(between(none, mlp));
      const more = trainer('auto', between(mlp, block));
      expect(more.recomputed.blocks).toBeGreaterThan(0);
      expect(more.recomputed.blocks + more.recomputed.mlps).toBe(layers);
      expect(more.layout.bytes).toBeLessThanOrEqual(between(mlp, block));
      const fewer = trainer('auto');
      const batch = sequences('train', 'batches').slice(0, 2);
      const result = await fewer.update([batch], 1e-3);
      for (const other of [some, more]) {
        expect(await other.update([batch], 1e-3)).toEqual(result);
        expect(other.state()).toEqual(fewer.state());
      }
    });

    test('says what it needs where nothing fits', () => {
      expect(() => trainer('auto', block.layout.bytes - 1)).toThrow(MemoryBudgetError);
      expect(() => trainer('none', none.layout.bytes - 1)).toThrow(
        /memory: the plan needs [\d.]+ MB \(.*activations .*\), but it may have [\d.]+ MB\. .* --recompute auto need less\./,
      );
    });
  });
});
