import { describe, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import { UnsupportedError } from '../../src/core/errors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel, writeTinyBatch } from '../gradients/tinyLlama.ts';

/** The first Node whose V8 has the flag. */
const hasFlag = Number(process.versions.node.split('.')[0]) >= 22;

/** Losses and gradients of a step, as bits. */
function step(module: WebAssembly.Module, pattern: Parameters<typeof tinyModel>[0], gradient: 'lors' | 'exact'): Uint32Array[] {
  const model = tinyModel(pattern);
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training: tinyAdapters(model, 'lors', gradient) });
  const session = new LocalSession([compiled.train()], { module });
  session.run('train', writeTinyBatch(session, compiled, model));
  return [compiled.losses, ...compiled.store.runs.map((run) => run.gradients)].map((value) => session.words(value).slice());
}

describe('the wide kernels', () => {
  const built = new WebAssembly.Module(new Uint8Array(readFileSync(new URL('../../build/wide.wasm', import.meta.url))));

  test.each(['2:4', '50 %', '90 % sparse', '4x1', '16x1', '4x4', '1x4'] as const)(
    'are the plain ones in another order of loads: the same bits, %s',
    (pattern) => {
      const { module } = kernelModule('plain');
      for (const gradient of ['lors', 'exact'] as const) expect(step(built, pattern, gradient)).toEqual(step(module, pattern, gradient));
    },
  );

  test.runIf(hasFlag)('widened by V8 they give the same bits, or are refused', () => {
    const { module, flavour } = kernelModule('wide');
    expect(flavour).toBe('wide');
    expect(step(module, '2:4', 'exact')).toEqual(step(kernelModule('plain').module, '2:4', 'exact'));
  });

  test.skipIf(hasFlag)('are refused where V8 cannot widen', () => {
    expect(() => kernelModule('wide')).toThrow(UnsupportedError);
    expect(() => kernelModule('wide')).toThrow(/--kernels wide: expected V8 12 or later \(Node 22\), got V8 /);
  });
});
