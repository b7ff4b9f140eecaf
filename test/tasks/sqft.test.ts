/** SQFT through files on a real model: INT4 grids and super-adapters are trained, saved, resumed, searched, fused and evaluated. */
import fs from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../shared.ts';
import { loadAdapter } from '../../src/io/adapter.ts';
import { loadGrids, saveGrids } from '../../src/io/grid.ts';
import { loadModel, saveModel } from '../../src/io/model.ts';
import { openSafetensors } from '../../src/io/safetensors.ts';
import { projectionNames } from '../../src/models/names.ts';
import type { Grid } from '../../src/quant/grid.ts';
import { LEVELS, codes, decoded } from '../../src/quant/grid.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import type { finetune } from '../../src/tasks/finetune.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { generate } from '../../src/tasks/generate.ts';
import { prune } from '../../src/tasks/prune.ts';
import { quantize } from '../../src/tasks/quantize.ts';
import { search } from '../../src/tasks/search.ts';
import {
  STORIES,
  filesOf,
  interruptAt,
  readJson,
  readLines,
  run,
  temporaryDirectory,
  variant,
  withShared,
  writeStories,
} from './workspace.ts';

/** Values of a module's weight as the file has them. */
function valuesOf(directory: string, module: string): Float32Array<ArrayBuffer> {
  const file = openSafetensors(join(directory, 'model.safetensors'));
  expect(file.info(`${module}.weight`)!.dtype).toBe('F32');
  const bytes = file.read(`${module}.weight`);
  file.close();
  return new Float32Array(bytes.buffer as ArrayBuffer);
}

withShared('SQFT', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  let data: string;
  let names: string[];
  let shapes: (readonly [string, number, number])[];
  const text = (): { data: string; maxSeqLength: number } => ({ data: join(data, 'valid.jsonl'), maxSeqLength: 64 });
  type Options = Parameters<typeof finetune>[0];
  const tune = (out: string, options: Partial<Options> = {}): Options => ({
    model: at('base'),
    data,
    out,
    method: 'sqft',
    iters: 50,
    batchSize: 2,
    maxSeqLength: 64,
    rank: 8,
    learningRate: 1e-2,
    stepsPerEval: 0,
    saveEvery: 0,
    ...options,
  });
  beforeAll(async () => {
    data = writeStories(at('data'), 16);
    await prune({ model: STORIES, out: at('base'), method: 'magnitude' });
    const { config, linears } = loadModel(at('base'));
    names = projectionNames(config);
    shapes = names.map((name) => [name, linears.get(name)!.rows, linears.get(name)!.cols]);
  });

  /** Claims that every projection of a directory is on its grid, with the zeros of the base. Returns how many moved. */
  const expectOnGrid = (directory: string, grids: ReadonlyMap<string, Grid>): number => {
    let moved = 0;
    for (const name of names) {
      const [values, base, grid] = [valuesOf(directory, name), valuesOf(at('base'), name), grids.get(name)!];
      expect(values, name).toEqual(decoded(codes(values, grid), grid));
      for (let i = 0; i < values.length; i++) {
        if (base[i] === 0 && !Object.is(values[i], 0)) throw new Error(`${name}[${i}]: a pruned weight became ${values[i]}.`);
        if (base[i] !== values[i]) moved++;
      }
    }
    return moved;
  };

  describe('QA-SparsePEFT', () => {
    const [qa, fused] = [at('qa'), at('qa-fused')];
    beforeAll(async () => {
      await run(tune(qa, { quantize: 'int4', groupSize: 16 }));
      fuse({ model: at('base'), adapter: qa, out: fused });
      quantize({ model: at('base'), out: at('rounded'), groupSize: 16 });
    }, 120_000);

    test('the adapter holds the grid of the base, and says so', () => {
      expect(readJson(join(qa, 'adapter_config.json'))).toMatchObject({
        peft_type: 'LORS',
        lors: { method: 'sqft', quantization: { bits: 4, group_size: 16 } },
      });
      const { modules } = loadAdapter(qa);
      for (const [name, rows, cols] of shapes) {
        const grid = modules.get(name)!.grid!;
        expect(grid).toMatchObject({ rows, cols, size: 16 });
        expect(grid.scales.length).toBe(rows * Math.ceil(cols / 16));
      }
    });

    test('after 50 steps the fused weights are on it, every one, and all zeros are zeros', () => {
      const grids = loadGrids(fused, shapes);
      expect([...grids]).toEqual([...loadAdapter(qa).modules].map(([name, { grid }]) => [name, grid]));
      expect(expectOnGrid(fused, grids)).toBeGreaterThan(10000);
      // Training moved weights to other points than rounding alone would have.
      const other = names.reduce((n, name) => {
        const [a, b] = [valuesOf(fused, name), valuesOf(at('rounded'), name)];
        return n + a.filter((v, i) => v !== b[i]).length;
      }, 0);
      expect(other).toBeGreaterThan(1000);
    });

    test('it evaluates and generates as base and adapter do', async () => {
      const beside = await evaluate({ ...text(), model: at('base'), adapter: qa, kernels: 'plain' });
      expect(await evaluate({ ...text(), model: fused, kernels: 'plain' })).toEqual(beside);
      const say = { prompt: 'Lily saw', temperature: 0, maxTokens: 20 };
      expect(await collect(generate({ ...say, model: fused }))).toEqual(
        await collect(generate({ ...say, model: at('base'), adapter: qa })),
      );
      const untrained = await evaluate({ ...text(), model: at('rounded') });
      expect(beside.loss).toBeLessThan(untrained.loss - 0.5);
    });

    test('it is a base with its own grid: a second round of training stays on that', async () => {
      const again = at('qa-again');
      await run(tune(again, { model: fused, quantize: 'int4', iters: 3 }));
      for (const [name, { grid }] of loadAdapter(again).modules) expect(grid, name).toEqual(loadAdapter(qa).modules.get(name)!.grid);
      await expect(run(tune(at('other-size'), { model: fused, quantize: 'int4', groupSize: 32 }))).rejects.toThrow(
        /--group-size: expected 16, that of .*qa-fused, got 32\./,
      );
    });

    test('an adapter on some projections leaves the others on the grid of the base', async () => {
      const [some, out] = [at('qa-some'), at('qa-some-fused')];
      await run(tune(some, { model: fused, quantize: 'int4', iters: 3, targetModules: ['q_proj', 'up_proj'] }));
      fuse({ model: fused, adapter: some, out });
      expect(loadAdapter(some).modules.size).toBe(names.length / 3.5);
      expect(loadGrids(out, shapes)).toEqual(loadGrids(fused, shapes));
      expectOnGrid(out, loadGrids(out, shapes));
    });

    test('no other element type holds the grid', () => {
      for (const dtype of ['F16', 'BF16'] as const) {
        expect(() => fuse({ model: at('base'), adapter: qa, out: at('half'), dtype })).toThrow(/--dtype: expected keep or F32/);
      }
    });

    test('from a base in 16 bits the fused weights are on the grid all the same, in F32', async () => {
      saveModel(loadModel(at('base')), at('base16'), { dtype: 'BF16', copyFrom: STORIES });
      await run(tune(at('qa16'), { model: at('base16'), quantize: 'int4', iters: 4 }));
      fuse({ model: at('base16'), adapter: at('qa16'), out: at('qa16-fused') });
      expectOnGrid(at('qa16-fused'), loadGrids(at('qa16-fused'), shapes));
      expect((await evaluate({ ...text(), model: at('qa16-fused'), kernels: 'plain' })).loss).toBe(
        (await evaluate({ ...text(), model: at('base16'), adapter: at('qa16'), kernels: 'plain' })).loss,
      );
    });

    test('weights that are fetched for each use come to the same, and so do several threads', async () => {
      const loss = async (options: object): Promise<number> =>
        (await evaluate({ ...text(), model: at('base'), adapter: qa, ...options })).loss;
      const wanted = await loss({ weights: 'arena', threads: 1 });
      for (const weights of ['memory', 'file']) expect(await loss({ weights, threads: 2 })).toBe(wanted);
    });
  });

  describe('lors quantize', () => {
    beforeAll(() => void quantize({ model: at('base'), out: at('int4') }));

    test('rounds every projection to its grid; rows shorter than a group are one', () => {
      const grids = loadGrids(at('int4'), shapes);
      expectOnGrid(at('int4'), grids);
      for (const [name, rows, cols] of shapes) expect(grids.get(name)!.scales.length, name).toBe(rows * Math.ceil(cols / 128));
      for (const name of ['model.embed_tokens', 'model.norm']) expect(valuesOf(at('int4'), name)).toEqual(valuesOf(at('base'), name));
    });

    test('finer groups are nearer to the model, in every projection', () => {
      quantize({ model: at('base'), out: at('int4-8'), groupSize: 8 });
      const distance = (directory: string, name: string): number => {
        const base = valuesOf(at('base'), name);
        return valuesOf(at(directory), name).reduce((sum, v, i) => sum + (v - base[i]!) ** 2, 0);
      };
      for (const name of names) expect(distance('int4-8', name), name).toBeLessThan(distance('int4', name));
    });

    test('refuses a group that is none', () => {
      expect(() => quantize({ model: at('base'), out: at('int4-6'), groupSize: 6 })).toThrow(/--group-size: expected a multiple of 4/);
      expect(fs.existsSync(at('int4-6'))).toBe(false);
    });

    test('a grid of another model is refused', () => {
      variant(at('foreign'), {});
      const grids = loadGrids(at('int4'), shapes);
      const [name, grid] = [...grids][0]!;
      saveGrids(at('foreign'), new Map([[name, { ...grid, rows: 63, scales: grid.scales.slice(1), zeros: grid.zeros.slice(1) }]]));
      expect(() => loadGrids(at('foreign'), shapes)).toThrow(/weight_scale: expected F32 \[64, 1\], got F32 \[63, 1\]/);
      const bad = { ...grid, scales: grid.scales.map((s, i) => (i === 3 ? -1 : s)) };
      saveGrids(at('foreign'), new Map([[name, bad]]));
      expect(() => loadGrids(at('foreign'), [shapes[0]!])).toThrow(/expected scales above 0 and zero points of at most 15, got -1/);
      saveGrids(at('foreign'), new Map([[name, { ...grid, zeros: grid.zeros.map(() => LEVELS + 1) }]]));
      expect(() => loadGrids(at('foreign'), [shapes[0]!])).toThrow(/zero points of at most 15/);
    });
  });

  describe('NLS', () => {
    const nls = { nlsRanks: [8, 5, 2], rank: undefined, iters: 9, stepsPerReport: 1 } as const;

    test('the heuristic sub-adapter has the middle rank everywhere; the whole one is kept beside it', async () => {
      const out = at('nls');
      await run(tune(out, nls));
      const [sub, whole] = [loadAdapter(out), loadAdapter(join(out, 'super'))];
      expect(whole.config).toMatchObject({ rank: 8, nls: { ranks: [8, 5, 2], sharing: 'block' } });
      for (const [name, module] of sub.modules) {
        const all = whole.modules.get(name)!;
        expect([module.rank, all.rank], name).toEqual([5, 8]);
        expect(module.down, name).toEqual(all.down.slice(0, 5 * module.inFeatures));
        expect(module.up, name).toEqual(all.up.filter((_, i) => i % 8 < 5));
      }
      const json = readJson(join(out, 'adapter_config.json')) as Record<string, Record<string, number>>;
      // PEFT's scaling of a module is its alpha over its own rank: that of the whole rank, 32 / 8.
      expect(Object.keys(json['rank_pattern']!)).toEqual(names);
      for (const name of names) expect(json['alpha_pattern']![name]! / json['rank_pattern']![name]!).toBe(4);
    });

    test('a step trains the ranks that it drew: in one step no more than the largest drawn move', async () => {
      const out = at('nls-one');
      // Of up, all zeros at first, a rank that is left out has no gradient and stays.
      await run(tune(out, { ...nls, iters: 1, nlsSharing: 'module', learningRate: 1e-3 }));
      const trained = [...loadAdapter(join(out, 'super')).modules].map(([, { up, rank }]) => {
        const moved = [...up.keys()].filter((i) => up[i] !== 0).map((i) => i % rank);
        return Math.max(...moved) + 1;
      });
      expect(new Set(trained)).toEqual(new Set([8, 5, 2]));
    });

    test.each([2, 6])('interrupted after step %i, it goes on bit for bit, the draws and the grid too', async (step) => {
      const options = { ...nls, quantize: 'int4', nlsSearch: 'hill-climbing', nlsTurns: 3 } as const;
      const [whole, out] = [at(`nls-whole-${step}`), at(`nls-stopped-${step}`)];
      await run(tune(whole, options));
      await run(tune(out, options), interruptAt(step));
      await run(tune(out, { ...options, resume: out }));
      const names_ = filesOf(whole).filter((name) => name.endsWith('.safetensors') || name.endsWith('adapter_config.json'));
      expect(names_.length).toBe(7);
      for (const name of names_) expect(fs.readFileSync(join(out, name)).equals(fs.readFileSync(join(whole, name))), name).toBe(true);
      const losses = (of: string): unknown[] => readLines(join(of, 'log.jsonl')).map(({ event, step: at_, loss }) => [event, at_, loss]);
      expect(losses(out)).toEqual(losses(whole));
      expect(readJson(join(out, 'checkpoint-9', 'trainer_state.json'))).toEqual(
        readJson(join(whole, 'checkpoint-9', 'trainer_state.json')),
      );
    });

    describe('a search', () => {
      const out = at('nls-search');
      let result: Awaited<ReturnType<typeof run>>;
      beforeAll(async () => {
        result = await run(tune(out, { ...nls, iters: 20, quantize: 'int4', nlsSearch: 'hill-climbing', nlsTurns: 8, valBatches: 0 }));
      }, 120_000);

      test('ends with ranks that are no worse than the middle, and fuse and eval use them', async () => {
        const { events, perplexity } = result;
        const turns = events.filter((e) => e.event === 'search');
        expect(turns.map(({ turn }) => turn)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
        const best = Math.min(...turns.map(({ loss }) => loss));
        expect(turns.at(-1)!.best).toBe(best);
        expect(perplexity).toBe(Math.exp(best));
        const beside = await evaluate({ ...text(), model: at('base'), adapter: out, kernels: 'plain' });
        // The same sums over the same tokens, in batches of other sizes.
        expect(Math.abs(beside.loss - best)).toBeLessThan(1e-5);
        fuse({ model: at('base'), adapter: out, out: at('nls-fused') });
        expectOnGrid(at('nls-fused'), loadGrids(at('nls-fused'), shapes));
        expect((await evaluate({ ...text(), model: at('nls-fused'), kernels: 'plain' })).loss).toBe(beside.loss);
      });

      test('lors search finds ranks in a saved super-adapter, as the run would have', async () => {
        const later = at('nls-later');
        const found = await search({ ...text(), model: at('base'), adapter: at('nls-search', 'super'), out: later, nlsTurns: 8 });
        expect(loadAdapter(later)).toEqual(loadAdapter(out));
        expect(found.loss).toBe((await evaluate({ ...text(), model: at('base'), adapter: later })).loss);
        const middle = at('nls-middle');
        await search({ ...text(), model: at('base'), adapter: at('nls-search', 'super'), out: middle, nlsSearch: 'heuristic' });
        expect([...loadAdapter(middle).modules.values()].every(({ rank }) => rank === 5)).toBe(true);
        expect(found.loss).toBeLessThanOrEqual((await evaluate({ ...text(), model: at('base'), adapter: middle })).loss);
        await expect(search({ ...text(), model: at('base'), adapter: out, out: at('nls-no') })).rejects.toThrow(
          /expected a super-adapter, from --nls-ranks, got a sub-adapter\. That is in super\/ of its run\./,
        );
        await run(tune(at('lors'), { iters: 1 }));
        await expect(search({ ...text(), model: at('base'), adapter: at('lors'), out: at('nls-no') })).rejects.toThrow(
          /got an adapter of one rank/,
        );
      });
    });
  });

  test.each<[what: string, options: Partial<Options>, message: RegExp]>([
    ['a grid of a method that has none', { method: 'lors', quantize: 'int4' }, /--quantize: expected --method sqft, got --method lors\./],
    ['a grid of full training', { method: 'full', quantize: 'int4' }, /--quantize: expected --method sqft, got --method full\./],
    ['a group without a grid', { groupSize: 16 }, /--group-size: expected --quantize beside it, got none\./],
    ['a group of 6', { quantize: 'int4', groupSize: 6 }, /--group-size: expected a multiple of 4, such as 128, got 6\./],
    ['elastic ranks of another method', { method: 'lora', nlsRanks: [8, 4] }, /--nls-ranks: expected --method sqft, got --method lora\./],
    ['a largest rank that is not --rank', { nlsRanks: [6, 4] }, /--nls-ranks: expected the largest to be --rank, 8, got 6\./],
    ['a rank that is none', { nlsRanks: [8, 0] }, /--nls-ranks: expected whole numbers of at least 1, got 0\./],
    ['a search without ranks', { nlsSearch: 'hill-climbing' }, /--nls-search: expected --nls-ranks beside it, got none\./],
  ])('refused: %s', async (_, options, message) => {
    await expect(run(tune(at('refused'), options))).rejects.toThrow(message);
    expect(fs.existsSync(at('refused')) ? filesOf(at('refused')) : []).toEqual([]);
  });

  test('refused: a search with nothing held out', async () => {
    const only = join(data, 'train.jsonl');
    await expect(run(tune(at('refused'), { data: only, nlsRanks: [8, 4], nlsSearch: 'hill-climbing' }))).rejects.toThrow(
      /--nls-search hill-climbing: expected a valid split in --data/,
    );
  });
});
