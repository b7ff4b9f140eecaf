import { describe, expect, test } from 'vitest';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { ADAPTER_METHODS } from '../../src/adapters/methods.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { layOut, lifetimes } from '../../src/program/layout.ts';
import type { StageOp } from '../../src/program/program.ts';
import { ProgramBuilder, denseUnits, perTile, touched } from '../../src/program/program.ts';
import type { Value } from '../../src/program/value.ts';
import { at, constant } from '../../src/program/value.ts';
import { packedBytes } from '../../src/sparse/weight.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel } from '../gradients/tinyLlama.ts';

const F = 4;
const input: Value = { name: 'input', bytes: 2 * F * 64, kind: 'input' };
const units = [{}, {}, {}];
const weights = units.map((unit, i) => constant(`w${i}`, new Float32Array(F * F), unit));

/** A program that uses these weights one after another. */
function using(...order: readonly number[]): ReturnType<ProgramBuilder['finish']> {
  const b = new ProgramBuilder('program', 2);
  for (const i of order) {
    const y = b.activation('y', F);
    b.within(`layer${i}`, () =>
      b.emit('gemm', denseUnits(perTile(), F), { y, init: 0, x: input, w: weights[i]!, features: F, M: F, K: F }),
    );
  }
  return b.finish();
}

const words = (program: ReturnType<typeof using>): string[] =>
  program.ops.map((op) => ('stage' in op ? `${op.stage} ${op.label}` : `${op.kernel} ${op.label}`));

describe('staged weights', () => {
  test('the next one is fetched while one is computed with', () => {
    expect(words(using(0, 1, 2))).toEqual([
      'fetch layer0',
      'arrive layer0',
      'fetch layer1',
      'gemm layer0',
      'arrive layer1',
      'fetch layer2',
      'gemm layer1',
      'arrive layer2',
      'gemm layer2',
    ]);
  });

  test('one that is used again at once stays; one that comes back is fetched again', () => {
    expect(words(using(0, 0, 1, 0)).filter((word) => word.startsWith('fetch'))).toEqual(['fetch layer0', 'fetch layer1', 'fetch layer0']);
    expect(words(using(0, 0)).filter((word) => word.startsWith('gemm'))).toHaveLength(2);
  });

  test('a view of a staged value is a view of what was fetched', () => {
    const b = new ProgramBuilder('program', 2);
    const y = b.activation('y', F);
    b.emit('gemm', denseUnits(perTile(), F), { y, init: 0, x: input, w: at(weights[0]!, 16), features: F, M: F, K: F });
    const program = b.finish();
    const layout = layOut([program], 1);
    const fetched = (program.ops[0] as StageOp).parts[0]!.to;
    const used = touched(program.ops[2]!).find(({ value }) => value.name === 'w0')!.value;
    expect(used).toBe(fetched);
    expect(layout.offsets.has(weights[0]!), 'the constant itself has no place').toBe(false);
  });

  test.each(ADAPTER_METHODS)('what is in the arena at once is a part of the model: %s', (method) => {
    const model = tinyModel('2:4');
    const staged: LlamaModel = { ...model, linears: new Map([...model.linears].map(([name, w]) => [name, { ...w, staged: true }])) };
    const programOf = (m: LlamaModel, method: AdapterMethod): ReturnType<CompiledLlama['train']> =>
      new CompiledLlama(m, { ...TINY_OPTIONS, training: tinyAdapters(model, method) }).train();
    const program = programOf(staged, method);
    const live = [...lifetimes(program)].filter(([{ name }]) => /(values|starts|index)$/.test(name));
    const inArena = program.ops.map((_, i) =>
      live.reduce((n, [{ bytes }, { first, last }]) => n + (first <= i && i <= last ? bytes : 0), 0),
    );
    const sizes = [...model.linears.values()].map(packedBytes).sort((a, b) => b - a);
    expect(Math.max(...inArena)).toBeLessThanOrEqual(sizes[0]! + sizes[1]!);
    // A weight comes in once forward and once backward, the last one for both: what walks the values does not fetch it again.
    const fetches = program.ops.filter((op) => 'stage' in op && op.stage === 'fetch').length;
    expect(fetches).toBeLessThan(2 * model.linears.size);
    const pinned = layOut([programOf(model, method)], 1).pinned['weight']!;
    expect(layOut([program], 1).pinned['weight']).toBeLessThan(pinned - sizes.reduce((a, b) => a + b) + 64 * sizes.length * 3);
  });
});
