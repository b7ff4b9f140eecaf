/** After fuse exactly the zeros of the base are zero, and the fused model is the base with its adapter. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../shared.ts';
import type { WeightDtype } from '../../src/core/dtypes.ts';
import { SMALLEST, decodeWeights } from '../../src/core/dtypes.ts';
import { saveAdapter } from '../../src/io/adapter.ts';
import { loadModel, saveModel } from '../../src/io/model.ts';
import { openSafetensors } from '../../src/io/safetensors.ts';
import { patternFingerprint } from '../../src/models/model.ts';
import { projectionNames } from '../../src/models/names.ts';
import { keepMaskOf } from '../../src/sparse/pack.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { generate } from '../../src/tasks/generate.ts';
import { prune } from '../../src/tasks/prune.ts';
import { STORIES, run, temporaryDirectory, variant, withShared, writeStories } from './workspace.ts';

/** Values of a tensor as the file has them, without what this package makes of them when it loads a model. */
function valuesOf(directory: string, name: string): Float32Array {
  const file = openSafetensors(join(directory, 'model.safetensors'));
  const dtype = file.info(name)!.dtype as WeightDtype;
  const { buffer } = file.read(name);
  file.close();
  return decodeWeights(dtype, dtype === 'F32' ? new Float32Array(buffer) : new Uint16Array(buffer));
}

function tensorNames(directory: string): string[] {
  const file = openSafetensors(join(directory, 'model.safetensors'));
  file.close();
  return [...file.tensors.keys()];
}

const isPruned = (name: string): boolean => /proj\.weight$/.test(name);

withShared('fuse', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  let data: string;
  const text = (): { data: string; maxSeqLength: number } => ({ data: join(data, 'valid.jsonl'), maxSeqLength: 64 });
  const tune = { iters: 6, batchSize: 2, maxSeqLength: 64, rank: 8, learningRate: 1e-2 } as const;
  beforeAll(async () => {
    data = writeStories(at('data'), 16);
    await prune({ model: STORIES, out: at('base-F32'), method: 'magnitude' });
    const pruned = loadModel(at('base-F32'));
    for (const dtype of ['F16', 'BF16'] as const) saveModel(pruned, at(`base-${dtype}`), { dtype, copyFrom: STORIES });
  });

  describe.each(['F32', 'F16', 'BF16'] as const)('a %s base', (dtype) => {
    const base = at(`base-${dtype}`);
    const adapter = at(`lors-${dtype}`);
    const fused = at(`fused-${dtype}`);
    beforeAll(async () => {
      await run({ ...tune, model: base, data, out: adapter });
      fuse({ model: base, adapter, out: fused });
    });

    test("exactly the base's zeros are zero, element by element, in its own element type", () => {
      for (const name of tensorNames(base)) {
        const before = valuesOf(base, name);
        const after = valuesOf(fused, name);
        const file = openSafetensors(join(fused, 'model.safetensors'));
        expect(file.info(name)!.dtype, name).toBe(dtype);
        file.close();
        let changed = 0;
        for (let i = 0; i < before.length; i++) {
          if ((before[i] === 0) !== (after[i] === 0)) throw new Error(`${name}[${i}]: ${before[i]} became ${after[i]}.`);
          if (before[i] !== after[i]) changed++;
        }
        // Not by changing nothing: every projection was trained, nothing else was.
        if (isPruned(name)) expect(changed, name).toBeGreaterThan(before.length / 5);
        else expect(changed, name).toBe(0);
      }
    });

    test('fused in F32, it evaluates to exactly what base and adapter do, and says the same', async () => {
      fuse({ model: base, adapter, out: at(`fused32-${dtype}`), dtype: 'F32' });
      const beside = await evaluate({ ...text(), model: base, adapter });
      expect(await evaluate({ ...text(), model: at(`fused32-${dtype}`) })).toEqual(beside);
      expect(beside.loss).not.toBe((await evaluate({ ...text(), model: base })).loss);
      const say = { prompt: 'Lily saw', temperature: 0, maxTokens: 20 };
      expect(await collect(generate({ ...say, model: at(`fused32-${dtype}`) }))).toEqual(
        await collect(generate({ ...say, model: base, adapter })),
      );
    });

    test('fused in its own type, it is off by no more than rounding to that type', async () => {
      const beside = await evaluate({ ...text(), model: base, adapter });
      const own = await evaluate({ ...text(), model: fused });
      // Each weight is off by up to half a unit in its last place, 2^-12 and 2^-9 of it, with signs that do not agree: the loss is
      // off by less than that share of itself.
      const most = { F32: 0, F16: 2 ** -12, BF16: 2 ** -9 }[dtype];
      expect(Math.abs(own.loss - beside.loss)).toBeLessThanOrEqual(most * beside.loss);
    });
  });

  test('a kept weight that becomes exactly zero stays in the pattern, in every element type', () => {
    for (const dtype of ['F32', 'F16', 'BF16'] as const) {
      const base = at(`base-${dtype}`);
      const name = 'model.layers.2.mlp.up_proj';
      const model = loadModel(base);
      const { rows, cols } = model.linears.get(name)!;
      // Rank 1, scaling 1: up picks row 3, down is that row with its sign turned. Each kept weight of the row cancels.
      const up = new Float32Array(rows);
      up[3] = 1;
      const down = valuesOf(base, `${name}.weight`)
        .slice(3 * cols, 4 * cols)
        .map((w) => -w);
      saveModel(model, at(`cancel-${dtype}`), { copyFrom: base });
      saveAdapter(at(`cancel-${dtype}`), {
        config: {
          method: 'lors',
          rank: 1,
          alpha: 1,
          rslora: false,
          targetModules: ['up_proj'],
          baseModel: base,
          patternFingerprint: patternFingerprint(model),
        },
        modules: new Map([[name, { rank: 1, inFeatures: cols, outFeatures: rows, up, down }]]),
      });
      fuse({ model: base, adapter: at(`cancel-${dtype}`), out: at(`cancelled-${dtype}`) });
      const fused = valuesOf(at(`cancelled-${dtype}`), `${name}.weight`).slice(3 * cols, 4 * cols);
      expect(new Set(fused), dtype).toEqual(new Set([0, SMALLEST[dtype]]));
      expect(fused.filter((w) => w !== 0)).toHaveLength(cols / 2);
      expect(patternFingerprint(loadModel(at(`cancelled-${dtype}`)))).toBe(patternFingerprint(model));
    }
  });

  test('a weight of a dense base that becomes exactly zero does not turn into a pruned one', () => {
    const name = 'model.layers.0.self_attn.q_proj';
    const model = loadModel(STORIES);
    const { rows, cols } = model.linears.get(name)!;
    const up = new Float32Array(rows);
    up[0] = 1;
    const down = valuesOf(STORIES, `${name}.weight`)
      .slice(0, cols)
      .map((w) => -w);
    const config = { method: 'lors', rank: 1, alpha: 1, rslora: false, targetModules: ['q_proj'], baseModel: STORIES } as const;
    saveModel(model, at('dense'), { copyFrom: STORIES });
    saveAdapter(at('dense'), { config, modules: new Map([[name, { rank: 1, inFeatures: cols, outFeatures: rows, up, down }]]) });
    fuse({ model: STORIES, adapter: at('dense'), out: at('dense-fused') });
    expect(loadModel(at('dense-fused')).linears.get(name)!.pattern).toBe('dense');
  });

  test('plain lora fills the zeros: that is what lors is for', async () => {
    await run({ ...tune, model: at('base-F32'), data, out: at('lora'), method: 'lora' });
    const fused = fuse({ model: at('base-F32'), adapter: at('lora'), out: at('lora-fused') });
    for (const name of projectionNames(fused.config)) {
      const zeros = valuesOf(at('lora-fused'), `${name}.weight`).filter((w) => w === 0).length;
      const before = keepMaskOf(loadModel(at('base-F32')).linears.get(name)!).filter((kept) => !kept).length;
      expect(zeros, name).toBeLessThan(before / 100);
    }
    // W + s up down in one sum or in two: the same but for the order of rounding.
    const beside = await evaluate({ ...text(), model: at('base-F32'), adapter: at('lora') });
    expect((await evaluate({ ...text(), model: at('lora-fused') })).loss).toBeCloseTo(beside.loss, 5);
  });

  test('an adapter for another model is refused: its shape, its module, its mask; nothing is written', async () => {
    const other = variant(at('other'), { tensor: (name, w) => (isPruned(name) ? w.map((x, i) => (i % 4 < 2 ? x : 0)) : w) });
    expect(() => fuse({ model: other, adapter: at('lors-F32'), out: at('no') })).toThrow(
      /adapter for another model: expected the mask that it was trained in \(\w+\), got \w+ in .*other\. It was trained on .*base-F32\./,
    );
    await expect(evaluate({ ...text(), model: STORIES, adapter: at('lors-F32') })).rejects.toThrow(
      /adapter for another model: expected the mask/,
    );
    await expect(collect(generate({ model: STORIES, prompt: 'x', adapter: at('lors-F32') }))).rejects.toThrow(
      /adapter for another model: expected the mask/,
    );
    const smaller = variant(at('smaller'), { config: { num_hidden_layers: 4 } });
    expect(() => fuse({ model: smaller, adapter: at('lora'), out: at('no') })).toThrow(
      /adapter for another model: model\.layers\.4\.self_attn\.q_proj: expected a module of .*smaller, got none of that name\./,
    );
    const narrow = variant(at('narrow'), {
      config: { intermediate_size: 168 },
      tensor: (name, w) => (/gate_proj|up_proj/.test(name) ? w.slice(0, 168 * 64) : /down_proj/.test(name) ? w.slice(0, 64 * 168) : w),
      shape: (name, shape) => (/(gate|up|down)_proj/.test(name) ? shape.map((n) => (n === 172 ? 168 : n)) : shape),
    });
    expect(() => fuse({ model: narrow, adapter: at('lora'), out: at('no') })).toThrow(
      /adapter for another model: model\.layers\.0\.mlp\.gate_proj: expected factors for 168 x 64, got 172 x 64\./,
    );
    expect(() => loadModel(at('no'))).toThrow(/nothing there/);
  });
});
