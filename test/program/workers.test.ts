import { ADAPTER_METHODS } from '../../src/adapters/methods.ts';
import { describe, expect, test } from 'vitest';
import { createMemory, instantiateKernels } from '../../src/kernels/load.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import { SCRATCH_BYTES } from '../../src/kernels/table.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import type { Training } from '../../src/models/llama.ts';
import { encode } from '../../src/program/encode.ts';
import { layOut } from '../../src/program/layout.ts';
import { unitsIn } from '../../src/program/program.ts';
import { run } from '../../src/runtime/run.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel, writeTinyBatch } from '../gradients/tinyLlama.ts';
import { eachFlavour } from '../kernels/harness.ts';

const model = tinyModel('50 %');

/**
 * The bytes of losses and gradients after a step by n workers, one after another within each op, in the order given.
 * What a worker leaves behind in its share is all that another one can see, as with a barrier after each op.
 */
function step(training: Training, flavour: Flavour, workers: readonly number[]): Record<string, Uint32Array> {
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training });
  const program = compiled.train({ blocks: model.config.layers, mlps: 0 });
  const { module } = kernelModule(flavour);
  const session = new LocalSession([program], { module });
  const counts = writeTinyBatch(session, compiled, model);

  const layout = layOut([program], workers.length);
  const memory = createMemory(layout.bytes, false);
  const kernels = instantiateKernels(module, memory);
  // Bytes that nothing wrote must not matter.
  new Uint8Array(memory.buffer).fill(0x7f, layout.bytes - layout.activations);
  for (const [value, offset] of layout.offsets) {
    if (value.kind === 'activation') continue;
    // An index may end inside a word.
    const words = session.words(value);
    new Uint8Array(memory.buffer, offset, value.bytes).set(new Uint8Array(words.buffer, words.byteOffset, value.bytes));
  }
  for (const one of encode(program, layout).steps) {
    for (const me of workers) {
      const share = (units: number, take: (begin: number, end: number) => void): void => {
        const [begin, end] = [Math.floor((units * me) / workers.length), Math.floor((units * (me + 1)) / workers.length)];
        if (begin < end) take(begin, end);
      };
      const scratch = layout.scratch + me * SCRATCH_BYTES;
      run([one], kernels, counts, { share, scratch, barrier: () => undefined, stage: () => undefined });
    }
  }
  const words = (value: (typeof compiled)['losses']): Uint32Array =>
    new Uint32Array(memory.buffer.slice(layout.offsets.get(value), layout.offsets.get(value)! + value.bytes));
  return Object.fromEntries([compiled.losses, ...compiled.store.runs.map((r) => r.gradients)].map((value) => [value.name, words(value)]));
}

eachFlavour((flavour) => {
  describe.each([
    ...ADAPTER_METHODS.map((method) => ({ name: method, training: tinyAdapters(model, method) })),
    { name: 'hira, merged weights kept', training: tinyAdapters(model, 'hira', 'exact', 'keep') },
    { name: 'full', training: { method: 'full' } as const },
  ])('$name', ({ training }) => {
    const alone = step(training, flavour, [0]);

    test('a step has a loss and gradients', () => {
      for (const words of Object.values(alone))
        expect(new Float32Array(words.buffer).some((v) => v !== 0 && Number.isFinite(v))).toBe(true);
    });

    test.each([{ order: [0, 1] }, { order: [1, 0] }, { order: [0, 1, 2] }, { order: [2, 0, 1] }])(
      'workers in the order $order leave the same bits as one alone',
      ({ order }) => expect(step(training, flavour, order)).toEqual(alone),
    );
  });
});

test('shares of units meet without gap or overlap, also where there are fewer units than workers', () => {
  const counts = { tokens: 40, tiles: 3, labelled: 20, labelTiles: 2 };
  expect(unitsIn({ of: 'tiles', each: 6, band: 1, skip: 0, most: Infinity }, counts)).toBe(18);
  expect(unitsIn({ of: 'tiles', each: 6, band: 2, skip: 0, most: Infinity }, counts)).toBe(12);
  expect(unitsIn({ of: 'labelTiles', each: 1, band: 1, skip: 4, most: 4 }, counts)).toBe(0);
  expect(unitsIn({ of: 'tiles', each: 1, band: 1, skip: 1, most: 1 }, counts)).toBe(1);
});
