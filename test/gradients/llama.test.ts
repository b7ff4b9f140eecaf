import { describe, expect, test } from 'vitest';
import { ADAPTER_METHODS, ruleOf } from '../../src/adapters/methods.ts';
import { Random } from '../../src/core/random.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { castModel } from '../../src/models/fuse.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import type { Training } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import type { Recomputed } from '../../src/nn/block.ts';
import { lifetimes } from '../../src/program/layout.ts';
import type { Counts, Program } from '../../src/program/program.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { expectClose } from '../kernels/claims.ts';
import { expectSlope } from './finiteDifferences.ts';
import { OracleSession } from './oracleSession.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel, writeTinyBatch } from './tinyLlama.ts';

interface Run {
  readonly compiled: CompiledLlama;
  readonly train: Program;
  readonly oracle: OracleSession;
  readonly session: LocalSession;
  readonly counts: Counts;
  /** The mean loss, by the oracles. */
  readonly loss: () => number;
}

function compile(model: LlamaModel, training: Training, recomputed?: Recomputed): Run {
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training });
  const [train, evaluate] = [compiled.train(recomputed), compiled.evaluate()];
  const session = new LocalSession([train, evaluate], { module: kernelModule('plain').module });
  const counts = writeTinyBatch(session, compiled, model);
  const oracle = new OracleSession([train, evaluate]);
  for (const value of oracle.values) if (value.kind === 'input') oracle.write(value, session.words(value));
  const loss = (): number => {
    oracle.run(evaluate, counts);
    return (
      oracle
        .floats(compiled.losses)
        .subarray(0, counts.labelled)
        .reduce((a, b) => a + b, 0) / counts.labelled
    );
  };
  return { compiled, train, oracle, session, counts, loss };
}

const sparse = tinyModel();
const CASES = [
  // The paper's gradient, which is not that of its forward, has its surrogate in linear.test.ts.
  { name: 'lors with the exact gradient, 2:4', model: sparse, training: tinyAdapters(sparse, 'lors', 'exact') },
  { name: 'lora', model: sparse, training: tinyAdapters(sparse, 'lora') },
  { name: 'spp, 2:4', model: sparse, training: tinyAdapters(sparse, 'spp') },
  { name: 'hira, 2:4', model: sparse, training: tinyAdapters(sparse, 'hira') },
  // The multiplicative ones read the values a second time, as they are stored.
  { name: 'spp, CSR, BF16', model: tinyModel('90 % sparse', { dtype: 'BF16' }), training: tinyAdapters(sparse, 'spp') },
  { name: 'hira, blocks of 1x4, F16', model: tinyModel('1x4', { dtype: 'F16' }), training: tinyAdapters(sparse, 'hira') },
  { name: 'spp, dense', model: tinyModel('dense'), training: tinyAdapters(sparse, 'spp') },
  { name: 'full training of what is kept', model: sparse, training: { method: 'full' } as const },
  { name: 'full training, the head tied to the embedding', model: tinyModel('2:4', { tied: true }), training: { method: 'full' } as const },
  { name: 'lors with the exact gradient, CSR', model: tinyModel('90 % sparse'), training: tinyAdapters(sparse, 'lors', 'exact') },
  { name: 'lors with the exact gradient, blocks of 4x1', model: tinyModel('4x1'), training: tinyAdapters(sparse, 'lors', 'exact') },
  { name: 'full training of what is kept, blocks of 1x4', model: tinyModel('1x4'), training: { method: 'full' } as const },
];

describe.each(CASES)('a whole Llama, $name', ({ model, training }) => {
  const { compiled, train, oracle, session, counts, loss } = compile(model, training);
  oracle.run(train, counts);
  const random = new Random(5);
  const parameters = compiled.store.runs.flatMap((run) => run.parameters);

  test.each(parameters)('$name: its gradient is the slope of the loss', ({ name, length, value, gradient }) => {
    const [x, g] = [oracle.floats(value).subarray(0, length), oracle.floats(gradient).slice(0, length)];
    expectSlope(name, loss, x, g, random, 5);
    expect(g.some((d) => d !== 0)).toBe(true);
  });

  test('the compiled kernels come to the same losses and gradients, as close as f32 does', () => {
    session.run('train', counts);
    // A chain of some 60 roundings a value, a few hundred terms a sum: 2^-24 times 4000.
    const allowed = 2 ** -12;
    const close = (got: Float32Array, want: Float64Array): void => {
      const scale = want.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
      got.forEach((v, i) => expect(Math.abs(v - want[i]!) / scale).toBeLessThan(allowed));
    };
    close(session.floats(compiled.losses).subarray(0, counts.labelled), oracle.floats(compiled.losses));
    for (const { gradient, length } of parameters) close(session.floats(gradient).subarray(0, length), oracle.floats(gradient));
  });
});

const EVERY_ADAPTER = [
  ...ADAPTER_METHODS.map((method) => ({ name: method, training: tinyAdapters(sparse, method) })),
  { name: 'lors, exact', training: tinyAdapters(sparse, 'lors', 'exact') },
];
const KEPT = ADAPTER_METHODS.filter((method) => ruleOf(method).merges).map((method) => ({
  name: `${method}, merged weights kept`,
  training: tinyAdapters(sparse, method, undefined, 'keep'),
}));

test.each([...EVERY_ADAPTER, ...KEPT, { name: 'full', training: { method: 'full' } as const }])(
  'recomputing MLPs and blocks changes no bit: $name',
  ({ training }) => {
    const { layers } = sparse.config;
    const some = [undefined, { blocks: 0, mlps: layers }, { blocks: 1, mlps: layers - 1 }, { blocks: layers, mlps: 0 }];
    const [none, ...others] = some.map((recomputed) => {
      const run = compile(sparse, training, recomputed);
      run.oracle.run(run.train, run.counts);
      run.session.run('train', run.counts);
      return run;
    }) as [Run, ...Run[]];
    for (const other of others) {
      expect(other.oracle.floats(other.compiled.losses)).toEqual(none.oracle.floats(none.compiled.losses));
      expect(other.session.floats(other.compiled.losses)).toEqual(none.session.floats(none.compiled.losses));
      none.compiled.store.runs.forEach((run, i) => {
        const { gradients } = other.compiled.store.runs[i]!;
        expect(other.oracle.floats(gradients)).toEqual(none.oracle.floats(run.gradients));
        expect(other.session.floats(gradients)).toEqual(none.session.floats(run.gradients));
      });
    }
    const [nothing, mlps, most, all] = [none, ...others].map(({ session }) => session.layout.activations) as [
      number,
      number,
      number,
      number,
    ];
    expect(mlps).toBeLessThan(nothing);
    expect(most).toBeLessThan(mlps);
    // With two blocks, what is alive in the backward pass of the last one decides.
    expect(all).toBeLessThanOrEqual(most);
  },
);

test.each(['sp-lora', 'sqft'] as const)('%s is lors with the exact gradient, to the bit', (method) => {
  const [exact, other] = [compile(sparse, tinyAdapters(sparse, 'lors', 'exact')), compile(sparse, tinyAdapters(sparse, method))];
  for (const { session, counts } of [exact, other]) session.run('train', counts);
  const gradients = ({ session, compiled }: Run): Float32Array => session.floats(compiled.store.decayed.gradients);
  expect(gradients(other)).toEqual(gradients(exact));
});

test.each(KEPT)('$name: no bit differs from merging again, and the plan has them alive at once', ({ training }) => {
  const runs = (['recompute', 'keep'] as const).map((merge) => compile(sparse, { ...training, merge }));
  const [again, kept] = runs as [Run, Run];
  for (const run of runs) run.session.run('train', run.counts);
  const gradients = ({ session, compiled }: Run): Float32Array[] => compiled.store.runs.map((run) => session.floats(run.gradients));
  expect(kept.session.floats(kept.compiled.losses)).toEqual(again.session.floats(again.compiled.losses));
  expect(gradients(kept)).toEqual(gradients(again));

  // At the end of the forward pass every merged weight is alive that the backward pass multiplies by: all but those of the
  // first block's q, k and v, below which nothing trains.
  const merges = (run: Run): number => run.train.ops.filter((op) => 'kernel' in op && op.kernel === 'mergeQuad').length;
  const { layers } = sparse.config;
  expect(merges(again)).toBe(layers * 14 - 3);
  expect(merges(kept)).toBe(layers * 7);
  const live = [...lifetimes(kept.train)].filter(([value]) => value.name.endsWith('.merged'));
  const end = kept.train.ops.findIndex(({ label }) => label === 'lm_head');
  const across = live.filter(([, { first, last }]) => first < end && last > end).map(([value]) => value);
  expect(across).toHaveLength(layers * 7 - 3);
  expect(kept.session.layout.activations).toBeGreaterThan(again.session.layout.activations);
});

test.each(KEPT)('$name: with blocks recomputed, each lives inside its own block alone', ({ training }) => {
  const { train } = compile(sparse, training, { blocks: sparse.config.layers, mlps: 0 });
  const end = train.ops.findIndex(({ label }) => label === 'lm_head');
  const across = [...lifetimes(train)].filter(([value, { first, last }]) => value.name.endsWith('.merged') && first < end && last > end);
  expect(across).toEqual([]);
});

describe.each(['F16', 'BF16'] as const)('a %s checkpoint', (dtype) => {
  const model = tinyModel('50 %', { tied: true, dtype });

  test('its losses are those of the same numbers in f32: rows and values are unpacked where they are read', () => {
    const [half, wide] = [compile(model, { method: 'none' }), compile(model, { method: 'full' })];
    expect(half.loss()).toBeCloseTo(wide.loss(), 12);
    half.session.run('train', half.counts);
    wide.session.run('train', wide.counts);
    expect(half.session.floats(half.compiled.losses)).toEqual(wide.session.floats(wide.compiled.losses));
  });

  test('a head of more rows than are unpacked at once has the same losses and gradients', () => {
    const large = tinyModel('2:4', { dtype, vocabulary: 2100 });
    const training = tinyAdapters(large, 'lora', 'lors');
    const [banded, whole] = [compile(large, training), compile(castModel(large, 'F32'), training)];
    for (const run of [banded, whole]) run.oracle.run(run.train, run.counts);
    const gradients = ({ oracle, compiled }: Run): Float64Array => oracle.floats(compiled.store.decayed.gradients);
    const most = gradients(whole).reduce((m, g) => Math.max(m, Math.abs(g)), 0);
    // The same sums of f64s in another order.
    expectClose('gradient', gradients(banded), gradients(whole), 1e-12 * most);
    expect(banded.oracle.floats(banded.compiled.losses)).toEqual(whole.oracle.floats(whole.compiled.losses));
  });
});
