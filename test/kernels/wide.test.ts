import { describe, expect, test } from 'vitest';
import { UnsupportedError } from '../../src/core/errors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { CAN_WIDEN, moduleOf } from './harness.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel, writeTinyBatch } from '../gradients/tinyLlama.ts';

/** Losses and gradients of a step, as bits. */
function step(module: WebAssembly.Module, pattern: Parameters<typeof tinyModel>[0], gradient: 'lors' | 'exact'): Uint32Array[] {
  const model = tinyModel(pattern);
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training: tinyAdapters(model, 'lors', gradient) });
  const session = new LocalSession([compiled.train()], { module });
  session.run('train', writeTinyBatch(session, compiled, model));
  return [compiled.losses, ...compiled.store.runs.map((run) => run.gradients)].map((value) => session.words(value).slice());
}

describe('the wide kernels', () => {
  // Widened where this V8 can. Never beside the same bytes compiled without the flag: V8 takes modules of equal bytes for one.
  test.each(['2:4', '50 %', '90 % sparse', '4x1', '16x1', '4x4', '1x4'] as const)(
    'are the relaxed ones in tiles of their own: the same bits, %s',
    (pattern) => {
      const [wide, relaxed] = [moduleOf('wide'), kernelModule('relaxed').module];
      for (const gradient of ['lors', 'exact'] as const) expect(step(wide, pattern, gradient)).toEqual(step(relaxed, pattern, gradient));
    },
  );

  test.runIf(CAN_WIDEN)('are there for the asking where V8 can widen', () => {
    expect(kernelModule('wide').flavour).toBe('wide');
  });

  test.skipIf(CAN_WIDEN)('are refused where V8 cannot widen', () => {
    expect(() => kernelModule('wide')).toThrow(UnsupportedError);
    expect(() => kernelModule('wide')).toThrow(/--kernels wide: expected V8 13 or later \(Node 24\), got V8 /);
  });
});
