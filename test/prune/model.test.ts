/** Whole models: rules that do not go together, masks that are there already, weights that move in every element type. */
import { describe, expect, test } from 'vitest';
import { SMALLEST, decodeWeights } from '../../src/core/dtypes.ts';
import { Random } from '../../src/core/random.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { loadModel, saveModel } from '../../src/io/model.ts';
import { withValues } from '../../src/models/fuse.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { patternFingerprint } from '../../src/models/model.ts';
import type { PruneRule } from '../../src/prune/rule.ts';
import { pruneModel } from '../../src/prune/prune.ts';
import { PRUNERS } from '../../src/prune/rule.ts';
import { parseSparsity } from '../../src/prune/sparsity.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { BLOCK_NAMES } from '../../src/sparse/block.ts';
import { keepMaskOf, unpack } from '../../src/sparse/pack.ts';
import { tinyModel } from '../gradients/tinyLlama.ts';
import { temporaryDirectory } from '../io/temporary.ts';

const sessions = localSessions({ module: kernelModule('plain').module });
const random = new Random(1);
const calibration = Array.from({ length: 6 }, () => ({ ids: Int32Array.from({ length: 20 }, () => random.below(13)) }));
const prune = (model: LlamaModel, sparsity: string, rule: Partial<PruneRule> = {}): Promise<LlamaModel> =>
  pruneModel(model, { method: 'wanda', sparsity: parseSparsity(sparsity), calibration, sessions, ...rule });
const owl = { threshold: 5, lambda: 0.08 };

describe('refused, before any block is pruned', () => {
  test.each<[string, Partial<PruneRule>, string]>([
    [
      '50%',
      { channelPermutation: true },
      'channel permutation: expected N:M such as 2:4, got 0.5. Only groups of inputs depend on their order.',
    ],
    ['4x1:50%', { channelPermutation: true }, 'channel permutation: expected N:M such as 2:4, got 4x1:0.5.'],
    [
      '2:4',
      { channelPermutation: true, method: 'sparsegpt' },
      'channel permutation: expected magnitude, wanda or ria, got sparsegpt. SparseGPT takes inputs in the order that they have.',
    ],
    ['2:4', { owl }, 'OWL: expected a share such as 70% or 4x1:70%, got 2:4. N:M leaves every block the same.'],
    ['2:8', { method: 'sparsegpt' }, 'inputs: expected a multiple of 8, the group of 2:8, got 12.'],
  ])('%s with %j', async (sparsity, rule, message) => {
    await expect(prune(tinyModel('dense'), sparsity, rule)).rejects.toThrow(RangeError);
    await expect(prune(tinyModel('dense'), sparsity, rule)).rejects.toThrow(message);
  });

  test.each(PRUNERS)('%s without calibration text', async (method) => {
    const without = (rule: Partial<PruneRule>): Promise<LlamaModel> =>
      pruneModel(tinyModel('dense'), { method, sparsity: parseSparsity('50%'), calibration: [], sessions, ...rule });
    if (method === 'magnitude') await expect(without({})).resolves.toBeDefined();
    else await expect(without({})).rejects.toThrow(`${method}: expected calibration text, got none.`);
    await expect(without({ owl })).rejects.toThrow('OWL: expected calibration text, got none.');
  });
});

describe.each(PRUNERS)('%s', (method) => {
  test('what was pruned before stays zero', async () => {
    const sparse = tinyModel('50 %');
    for (const sparsity of ['3:4', '30%', '4x1:30%']) {
      const pruned = await prune(sparse, sparsity, { method });
      for (const [name, before] of sparse.linears) {
        const [was, is] = [keepMaskOf(before), keepMaskOf(pruned.linears.get(name)!)];
        is.forEach((kept, i) => expect(kept, `${name} ${sparsity}`).toBeLessThanOrEqual(was[i]!));
        expect(is.reduce((n, k) => n + k, 0)).toBeGreaterThan(0);
      }
    }
  });

  test.each(BLOCK_NAMES)('%s: blocks of which the share is kept', async (block) => {
    const pruned = await prune(tinyModel('dense'), `${block}:50%`, { method });
    const { format, pattern } = pruned.linears.get('model.layers.1.mlp.gate_proj')!;
    expect({ format, pattern }).toEqual({ format: 'block', pattern: block });
  });
});

describe.each(['F32', 'F16', 'BF16'] as const)('SparseGPT in %s', (dtype) => {
  const root = temporaryDirectory();

  test.each(['2:4', '50%', '4x1:50%'])('%s: saved and loaded, it is the model that pruning gave, mask and weights', async (sparsity) => {
    const dense = tinyModel('dense', { dtype });
    const pruned = await prune(dense, sparsity, { method: 'sparsegpt' });
    const directory = `${root}/${dtype}-${sparsity.replace(/\W/g, '-')}`;
    saveModel(pruned, directory);
    const loaded = loadModel(directory);
    expect(patternFingerprint(loaded)).toBe(patternFingerprint(pruned));
    let moved = 0;
    for (const [name, weight] of pruned.linears) {
      const again = loaded.linears.get(name)!;
      expect(again).toMatchObject({ dtype, format: weight.format, pattern: weight.pattern, kept: weight.kept });
      expect(again.values).toEqual(weight.values);
      const before = unpack(dense.linears.get(name)!, dense.linears.get(name)!.values);
      const after = unpack(weight, weight.values);
      keepMaskOf(weight).forEach((kept, i) => (moved += kept && before[i] !== after[i] ? 1 : 0));
    }
    expect(moved).toBeGreaterThan(100);
  });

  test('a weight that is kept, of an input that never was, becomes the smallest number: the pattern holds', async () => {
    const plain = tinyModel('dense', { dtype });
    const norm = 'model.layers.0.input_layernorm';
    const gain = plain.gains.get(norm)!;
    // Inputs 0 and 1 are silent; of their group of four three weights stay, one of these two among them.
    const silent = { ...gain, values: gain.values.map((g, i) => (i < 2 ? 0 : g)) };
    const pruned = await prune(withValues(plain, { gains: new Map([...plain.gains, [norm, silent]]) }), '3:4', { method: 'sparsegpt' });
    const weight = pruned.linears.get('model.layers.0.self_attn.q_proj')!;
    expect(weight).toMatchObject({ pattern: '3:4', kept: (weight.rows * weight.cols * 3) / 4 });
    const values = decodeWeights(dtype, unpack(weight, weight.values));
    for (let r = 0; r < weight.rows; r++) {
      expect([...values.subarray(r * weight.cols, r * weight.cols + 2)]).toEqual([SMALLEST[dtype], 0]);
    }
  });
});

test('OWL: each block has its own share, the model its own; nothing else about it changes', async () => {
  const dense = tinyModel('dense');
  const pruned = await prune(dense, '50%', { owl: { threshold: 2, lambda: 0.1 } });
  const density = [0, 1].map((layer) => {
    const [kept, all] = [...pruned.linears]
      .filter(([name]) => name.includes(`layers.${layer}.`))
      .reduce(([k, n], [, { kept: own, rows, cols }]) => [k + own, n + rows * cols], [0, 0]);
    return kept / all;
  });
  // Two blocks: the extremes, 2 lambda apart. Rows have 12 or 20 weights, so that a share is met to half a weight.
  expect(Math.abs(Math.abs(density[0]! - density[1]!) - 0.2)).toBeLessThanOrEqual(1 / 12);
  expect(Math.abs((density[0]! + density[1]!) / 2 - 0.5)).toBeLessThanOrEqual(0.5 / 12);
});
