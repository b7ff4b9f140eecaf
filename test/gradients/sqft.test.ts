/** SQFT's parts on a whole Llama: gradients of elastic ranks, and the gradient that goes straight through a grid. */
import { describe, expect, test } from 'vitest';
import type { AdapterModule } from '../../src/adapters/factors.ts';
import { firstRanks, moduleOf } from '../../src/adapters/factors.ts';
import { Random } from '../../src/core/random.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { withValues } from '../../src/models/fuse.ts';
import { gridsOf } from '../../src/models/grids.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import type { AdapterTraining } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { rankGroup } from '../../src/models/names.ts';
import type { Recomputed } from '../../src/nn/block.ts';
import type { Parameter } from '../../src/program/parameters.ts';
import type { Counts, Program } from '../../src/program/program.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { LEVELS, snapped } from '../../src/quant/grid.ts';
import { unpack, valueOrder } from '../../src/sparse/pack.ts';
import { openGates } from '../../src/train/nls.ts';
import type { Ranks } from '../../src/train/nls.ts';
import { gaussians } from '../kernels/data.ts';
import { expectSlope } from './finiteDifferences.ts';
import { OracleSession } from './oracleSession.ts';
import { TINY_OPTIONS, tinyModel, writeTinyBatch } from './tinyLlama.ts';

const RANK = 6;
const SCALING = 0.5;

/** Factors of every projection, both away from zero. */
function modulesOf(model: LlamaModel): Map<string, AdapterModule> {
  const random = new Random(8);
  return new Map(
    [...model.linears].map(([name, { rows: outFeatures, cols: inFeatures }]) => {
      const [up, down] = [gaussians(random, outFeatures * RANK, 0.3), gaussians(random, RANK * inFeatures, 0.3)];
      return [name, { rank: RANK, inFeatures, outFeatures, up, down }];
    }),
  );
}

interface Run {
  readonly compiled: CompiledLlama;
  readonly session: LocalSession;
  readonly oracle: OracleSession;
  readonly train: Program;
  readonly evaluate: Program;
  readonly counts: Counts;
}

function compile(model: LlamaModel, training: Omit<AdapterTraining, 'method' | 'scaling'>, ranks?: Ranks, recomputed?: Recomputed): Run {
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training: { method: 'sqft', scaling: SCALING, ...training } });
  const [train, evaluate] = [compiled.train(recomputed), compiled.evaluate()];
  const session = new LocalSession([train, evaluate], { module: kernelModule('plain').module });
  const counts = writeTinyBatch(session, compiled, model);
  if (ranks) openGates(session, compiled, ranks);
  const oracle = new OracleSession([train, evaluate]);
  for (const value of oracle.values) if (value.kind === 'input') oracle.write(value, session.words(value));
  return { compiled, session, oracle, train, evaluate, counts };
}

const lossOf = ({ oracle, evaluate, counts, compiled }: Run): number => {
  oracle.run(evaluate, counts);
  const losses = oracle.floats(compiled.losses).subarray(0, counts.labelled);
  return losses.reduce((a, b) => a + b, 0) / counts.labelled;
};

describe.each(['2:4', '90 % sparse', '4x1', 'dense'] as const)('elastic ranks, %s', (mask) => {
  const model = tinyModel(mask);
  const modules = modulesOf(model);
  const ranks: Ranks = new Map([...modules.keys()].map((name, i) => [name, [1, 2, 4, 5, RANK][i % 5]!]));
  const elastic = compile(model, { factors: modules, elastic: 'module' }, ranks);
  const alone = compile(model, { factors: new Map([...modules].map(([name, m]) => [name, firstRanks(m, ranks.get(name)!)])) });

  test('the first ranks are the sub-adapter that has no others, to the bit of every loss', () => {
    for (const { session, counts } of [elastic, alone]) session.run('train', counts);
    expect(elastic.session.floats(elastic.compiled.losses)).toEqual(alone.session.floats(alone.compiled.losses));
  });

  test('the ranks that are left out have gradients of exactly zero, the others those of the sub-adapter', () => {
    for (const run of [elastic, alone]) {
      run.session.floats(run.compiled.store.decayed.gradients).fill(0);
      run.session.run('train', run.counts);
    }
    const gradient = ({ session }: Run, { gradient, length }: Parameter): Float32Array => session.floats(gradient).slice(0, length);
    for (const [name, factors] of elastic.compiled.factors) {
      const [got, want] = [
        moduleOf(factors, (p) => gradient(elastic, p)),
        moduleOf(alone.compiled.factors.get(name)!, (p) => gradient(alone, p)),
      ];
      const rank = ranks.get(name)!;
      const used = firstRanks(got, rank);
      expect([used.up, used.down]).toEqual([want.up, want.down]);
      const left = (module: AdapterModule): number[] => [
        ...module.up.filter((_, i) => i % RANK >= rank),
        ...module.down.subarray(rank * module.inFeatures),
      ];
      expect(left(got)).toEqual(left(got).map(() => 0));
      expect(used.up.some((d) => d !== 0)).toBe(true);
    }
  });

  test('gradients are the slopes of the loss, for the ranks that are left out too', () => {
    elastic.oracle.run(elastic.train, elastic.counts);
    const random = new Random(5);
    for (const { name, value, gradient, length } of elastic.compiled.store.decayed.parameters.slice(0, 8)) {
      const [x, g] = [elastic.oracle.floats(value).subarray(0, length), elastic.oracle.floats(gradient).slice(0, length)];
      expectSlope(name, () => lossOf(elastic), x, g, random, 6);
    }
  });
});

test('modules of a block share a gate, or have their own', () => {
  const model = tinyModel();
  const gates = (elastic: 'block' | 'module'): string[] => [
    ...compile(model, { factors: modulesOf(model), elastic }).compiled.gates.keys(),
  ];
  expect(gates('block')).toEqual(['model.layers.0', 'model.layers.1']);
  expect(gates('module')).toEqual([...model.linears.keys()]);
  expect(rankGroup('model.layers.11.mlp.up_proj', 'block')).toBe('model.layers.11');
});

describe.each(['2:4', '90 % sparse', '1x4', 'dense'] as const)('on a grid, %s', (mask) => {
  const model = tinyModel(mask);
  const modules = modulesOf(model);
  // Groups of 8 inputs: some rows end in a shorter one. Updates as large as the weights push some beyond the grid's ends.
  const grids = gridsOf(model, modules.keys(), 8);
  const onGrid = compile(model, { factors: new Map([...modules].map(([name, m]) => [name, { ...m, grid: grids.get(name) }])) });

  /** W + s up down on the pattern, row-major, in f64. */
  const merged = (name: string): Float64Array => {
    const weight = model.linears.get(name)!;
    const { rows, cols } = weight;
    const { up, down } = modules.get(name)!;
    const w = unpack(weight, weight.values);
    return Float64Array.from({ length: rows * cols }, (_, at) => {
      const [i, j] = [Math.floor(at / cols), at % cols];
      let sum = 0;
      for (let k = 0; k < RANK; k++) sum += up[i * RANK + k]! * down[k * cols + j]!;
      return w[at]! + (keptAt(name, at) ? SCALING * sum : 0);
    });
  };
  const keptAt = (name: string, at: number): boolean => {
    const weight = model.linears.get(name)!;
    return weight.format === 'dense' || kept.get(name)!.has(at);
  };
  const kept = new Map([...model.linears].map(([name, w]) => [name, new Set(w.format === 'dense' ? [] : valueOrder(w))]));

  /** The model whose plain merge is what the grid makes of this one's: W + (snap(W~) - W~). */
  const shifted = withValues(model, {
    linears: new Map(
      [...model.linears].map(([name, weight]) => {
        const w = merged(name);
        const points = snapped(Float32Array.from(w), grids.get(name)!);
        const base = unpack(weight, weight.values as Float32Array).map((v, at) => v + (keptAt(name, at) ? points[at]! - w[at]! : 0));
        const values = weight.values.slice() as Float32Array;
        if (weight.format === 'dense') base.forEach((v, at) => (values[panelAt(at, weight.cols)] = v));
        else valueOrder(weight).forEach((at, n) => (values[n] = base[at]!));
        return [name, { ...weight, values }];
      }),
    ),
  });
  const plain = compile(shifted, { factors: modules });

  test('the gradient goes straight through: it is that of the plain merge at the rounded weights', () => {
    for (const run of [onGrid, plain]) run.oracle.run(run.train, run.counts);
    // The shifted weights are f32: each is off by up to half a unit in its last place, and the losses and gradients by a few.
    const close = (got: Float64Array, want: Float64Array): void => {
      const scale = want.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
      got.forEach((v, i) => expect(Math.abs(v - want[i]!) / scale).toBeLessThan(2 ** -17));
    };
    close(onGrid.oracle.floats(onGrid.compiled.losses), plain.oracle.floats(plain.compiled.losses));
    close(onGrid.oracle.floats(onGrid.compiled.store.decayed.gradients), plain.oracle.floats(plain.compiled.store.decayed.gradients));
    expect(onGrid.oracle.floats(onGrid.compiled.store.decayed.gradients).some((g) => g !== 0)).toBe(true);
  });

  test('some weights are beyond the ends of their grid, where nothing is held back either', () => {
    const beyond = [...grids].flatMap(([name, { cols, size, scales, zeros }]) =>
      [...merged(name)].filter((w, at) => {
        const group = Math.floor(at / cols) * Math.ceil(cols / size) + Math.floor((at % cols) / size);
        return w > scales[group]! * (LEVELS + 0.5 - zeros[group]!) || w < scales[group]! * (-0.5 - zeros[group]!);
      }),
    );
    expect(beyond.length).toBeGreaterThan(20);
  });

  test('and that is a slope', () => {
    const random = new Random(6);
    for (const { name, value, gradient, length } of plain.compiled.store.decayed.parameters.slice(0, 8)) {
      const [x, g] = [plain.oracle.floats(value).subarray(0, length), plain.oracle.floats(gradient).slice(0, length)];
      expectSlope(name, () => lossOf(plain), x, g, random, 5);
    }
  });

  test('the compiled kernels come to the same losses', () => {
    onGrid.session.run('train', onGrid.counts);
    const want = onGrid.oracle.floats(onGrid.compiled.losses);
    const got = onGrid.session.floats(onGrid.compiled.losses).subarray(0, onGrid.counts.labelled);
    // One weight that rounds the other way is a whole step off: there is none that close to half way here.
    got.forEach((v, i) => expect(Math.abs(v - want[i]!)).toBeLessThan(2 ** -12 * Math.abs(want[i]!)));
  });
});

test('recomputing blocks and keeping merged weights change no bit, with elastic ranks on a grid', () => {
  const model = tinyModel();
  const grids = gridsOf(model, model.linears.keys(), 8);
  const factors = new Map([...modulesOf(model)].map(([name, m]) => [name, { ...m, grid: grids.get(name) }]));
  const ranks = new Map([
    ['model.layers.0', 3],
    ['model.layers.1', 5],
  ]);
  const runs = [
    compile(model, { factors, elastic: 'block' }, ranks),
    compile(model, { factors, elastic: 'block' }, ranks, { blocks: 0, mlps: 2 }),
    compile(model, { factors, elastic: 'block' }, ranks, { blocks: 2, mlps: 0 }),
    compile(model, { factors, elastic: 'block', merge: 'keep' }, ranks),
  ];
  const results = runs.map(({ session, compiled, counts }) => {
    session.run('train', counts);
    return [session.floats(compiled.losses), session.floats(compiled.store.decayed.gradients)];
  });
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
  expect(results[3]).toEqual(results[0]);
});

/** Row-major position `at` in panels of four rows. */
function panelAt(at: number, cols: number): number {
  const [i, j] = [Math.floor(at / cols), at % cols];
  return ((i >> 2) * cols + j) * 4 + (i & 3);
}
