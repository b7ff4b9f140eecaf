import { describe, expect, test } from 'vitest';
import { SCRATCH_BYTES } from '../../src/kernels/table.ts';
import { aligned } from '../../src/memory/plan.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import { encode } from '../../src/program/encode.ts';
import type { KernelStep } from '../../src/program/encode.ts';
import { layOut, lifetimes } from '../../src/program/layout.ts';
import { ProgramBuilder, denseUnits, perTile } from '../../src/program/program.ts';
import type { KernelOp } from '../../src/program/program.ts';
import type { Value } from '../../src/program/value.ts';
import { at, constant } from '../../src/program/value.ts';
import { optimizer } from '../../src/train/optimizer.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel } from '../gradients/tinyLlama.ts';

const F = 3;
const input: Value = { name: 'input', bytes: 2 * F * 64, kind: 'input' };

describe('liveness', () => {
  test('a value that is read before it is written is refused, by name and op', () => {
    const b = new ProgramBuilder('bad', 2);
    const [x, y] = [b.activation('x', F), b.activation('y', F)];
    b.within('mlp', () => b.emit('swiglu', perTile(), { y, gate: x, up: input, F }));
    expect(() => lifetimes(b.finish())).toThrow('bad op 0 (mlp): reads x before anything writes it.');
  });

  test('adding to a value that nothing wrote is refused: its bytes are what others left', () => {
    const b = new ProgramBuilder('bad', 2);
    const y = b.activation('y', F);
    const factor = constant('factor', new Float32Array(F * 4));
    b.emit('expand', perTile(), { y, z: input, factor, N: F, rank: 4 });
    expect(() => lifetimes(b.finish())).toThrow('reads y before anything writes it');
  });

  test('a value that starts from itself must have been written before', () => {
    const b = new ProgramBuilder('bad', 2);
    const y = b.activation('y', F);
    b.emit('gemm', denseUnits(perTile(), F), { y, init: y, x: input, w: constant('w', new Float32Array(4 * F)), features: F, M: F, K: F });
    expect(() => lifetimes(b.finish())).toThrow('reads y before anything writes it');
  });

  test('an output may be the input of the same op once it is written', () => {
    const b = new ProgramBuilder('good', 2);
    const y = b.activation('y', F);
    b.emit('swiglu', perTile(), { y, gate: input, up: input, F });
    b.emit('swiglu', perTile(), { y, gate: y, up: y, F });
    expect(lifetimes(b.finish()).get(y)).toEqual({ first: 0, last: 1 });
  });

  test('a view keeps the whole of its value alive', () => {
    const b = new ProgramBuilder('views', 2);
    const [x, y] = [b.activation('x', F), b.activation('y', F)];
    b.emit('swiglu', perTile(), { y: x, gate: input, up: input, F });
    b.emit('swiglu', perTile(), { y, gate: input, up: input, F });
    b.emit('swiglu', 1, { y, gate: at(x, F * 64), up: input, F });
    expect(lifetimes(b.finish()).get(x)).toEqual({ first: 0, last: 2 });
  });
});

describe('the layout of a whole training program', () => {
  const model = tinyModel();
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training: tinyAdapters(model, 'lors', 'exact') });
  const [train, evaluate] = [compiled.train({ blocks: model.config.layers, mlps: 0 }), compiled.evaluate()];
  const layout = layOut([train, evaluate], 3);

  test('no two values that are live at the same op share bytes', () => {
    for (const program of [train, evaluate]) {
      const live = [...lifetimes(program)].map(([value, span]) => ({ value, ...span, begin: layout.offsets.get(value)! }));
      for (const a of live) {
        for (const b of live) {
          if (a === b || a.last < b.first || b.last < a.first) continue;
          if (a.begin < b.begin + b.value.bytes && b.begin < a.begin + a.value.bytes)
            throw new Error(`${a.value.name} and ${b.value.name} overlap.`);
        }
      }
    }
  });

  test('gradients that are carried share bytes with what the backward pass is done with, and with nothing that is live', () => {
    const carrying = new CompiledLlama(model, { ...TINY_OPTIONS, accumulates: false, training: tinyAdapters(model, 'lors', 'exact') });
    const program = carrying.train();
    const { measure, update } = optimizer(carrying.store, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 });
    const { offsets } = layOut([program, carrying.evaluate(), measure, update], 1);
    const spans = [...lifetimes(program)].map(([value, span]) => ({ value, ...span, begin: offsets.get(value)! }));
    const gradients = spans.filter(({ value }) => value.kind === 'carried');
    expect(gradients).toHaveLength(model.config.layers);
    let shared = 0;
    for (const a of gradients) {
      expect(a.last).toBe(program.ops.length);
      for (const b of spans) {
        if (a === b || a.begin >= b.begin + b.value.bytes || b.begin >= a.begin + a.value.bytes) continue;
        shared++;
        expect(b.last, b.value.name).toBeLessThan(a.first);
      }
    }
    expect(shared).toBeGreaterThan(0);
  });

  test('what is looked up is not kept over the forward pass: it is looked up again', () => {
    for (const program of [train, compiled.train()]) {
      const head = program.ops.findIndex(({ label }) => label === 'lm_head');
      const embedded = [...lifetimes(program)].filter(([{ name }]) => name === 'embed_tokens.x').map(([, span]) => span);
      expect(embedded.map(({ first, last }) => [first < head, last < head])).toEqual([
        [true, true],
        [false, false],
      ]);
    }
  });

  test('pinned values stand apart from each other, from activations and from the scratch of every worker', () => {
    const fixed = [...layout.offsets].filter(([value]) => value.kind !== 'activation').sort(([, a], [, b]) => a - b);
    let end = layout.scratch + 3 * SCRATCH_BYTES;
    for (const [value, begin] of fixed) {
      expect(begin).toBeGreaterThanOrEqual(end);
      end = begin + value.bytes;
    }
    for (const [value, begin] of layout.offsets) if (value.kind === 'activation') expect(begin).toBeGreaterThanOrEqual(end);
  });

  test('everything is inside the arena, aligned, and not at address 0, which means none', () => {
    for (const [value, begin] of layout.offsets) {
      expect(begin).toBeGreaterThan(0);
      expect(begin).toBe(aligned(begin));
      expect(begin + value.bytes).toBeLessThanOrEqual(layout.bytes);
    }
  });

  test('an activation of one program is refused in another: they share bytes', () => {
    const b = new ProgramBuilder('first', 2);
    const y = b.activation('y', F);
    b.emit('swiglu', perTile(), { y, gate: input, up: input, F });
    const first = b.finish();
    expect(() => layOut([first, { ...first, name: 'second' }], 1)).toThrow('second: activation y belongs to another program');
  });
});

describe('encoding', () => {
  test('an argument that is missing is named with its op', () => {
    const b = new ProgramBuilder('program', 1);
    const y = b.activation('y', F);
    b.emit('swiglu', perTile(), { y, gate: input, up: input, F });
    const [op] = b.finish().ops;
    const { up: _up, ...rest } = (op as KernelOp).args;
    const program = { name: 'program', ops: [{ ...(op as KernelOp), args: rest }] };
    expect(() => encode(program, layOut([program], 1))).toThrow('program swiglu (): argument up is missing.');
  });

  test('counts and scratch are left to the batch and the worker', () => {
    const b = new ProgramBuilder('program', 2);
    const h = b.scratch('h', 4 * 4);
    const skip = { of: 'labelTiles', each: 1, band: 1, skip: 4, most: 2 } as const;
    b.emit('sddmmDense', 1, { dw: h, init: 0, dy: input, x: input, features: F, M: 1, K: 1, tiles: skip });
    const program = b.finish();
    const step = encode(program, layOut([program], 1)).steps[0] as KernelStep;
    expect(step.late).toEqual([{ position: 7, value: skip }]);
    expect(step.args[1]).toBe(0);
  });
});
