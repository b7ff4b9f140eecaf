/** Runs that cannot write: no space, no permission. What was there stays, nothing half-written is left, the message says why. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { compare } from '../../src/bench/methods/compare.ts';
import { FormatError, OutputError } from '../../src/core/errors.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { prune } from '../../src/tasks/prune.ts';
import { quantize } from '../../src/tasks/quantize.ts';
import { STORIES, filesOf, readLines, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

type Written = 'writeSync' | 'fsyncSync' | 'mkdirSync' | 'accessSync' | 'appendFileSync' | 'renameSync';

/** Makes a function of the file system fail from its nth call on, as a full disk or a missing right does. */
function fail(name: Written, code: string, nth = 1): void {
  const real = fs[name].bind(fs) as (...args: unknown[]) => unknown;
  let calls = 0;
  vi.spyOn(fs, name).mockImplementation((...args: unknown[]) => {
    if (++calls >= nth) throw Object.assign(new Error(`${code}: made for the test`), { code });
    return real(...args);
  });
  // Modules that import the function by its name see it too.
  syncBuiltinESMExports();
}

withShared('where nothing can be written', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const options = { model: STORIES, iters: 4, batchSize: 2, maxSeqLength: 64, saveEvery: 2, stepsPerReport: 1 } as const;
  let data: string;
  beforeAll(async () => {
    data = writeStories(at('data'), 8);
    await run({ ...options, data, out: at('whole') });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  test('no permission for the output directory: said before the model is even read', async () => {
    fail('accessSync', 'EACCES');
    const refused = run({ ...options, model: at('nowhere'), data, out: at('denied') });
    await expect(refused).rejects.toThrow(OutputError);
    await expect(refused).rejects.toThrow(/denied: cannot be written: no permission\./);
  });

  test('a model that cannot be read: no empty directory is left for its output', async () => {
    const out = at('parent', 'out');
    await expect(run({ ...options, model: at('nowhere'), data, out })).rejects.toThrow(FormatError);
    await expect(prune({ model: at('nowhere'), out, method: 'magnitude' })).rejects.toThrow(FormatError);
    await expect(compare({ model: at('nowhere'), data, out, iters: 1 })).rejects.toThrow(FormatError);
    expect(fs.existsSync(at('parent'))).toBe(false);
    await expect(prune({ model: at('nowhere'), out: root, method: 'magnitude', overwrite: true })).rejects.toThrow(FormatError);
    expect(fs.existsSync(at('whole'))).toBe(true);
  });

  test('a file where the directory should be', async () => {
    fs.writeFileSync(at('file'), 'mine');
    await expect(run({ ...options, data, out: at('file') })).rejects.toThrow(/file: cannot be written: a file is in the way\./);
    await expect(run({ ...options, data, out: at('file', 'out') })).rejects.toThrow(
      /out: cannot be written: a part of the path is a file, not a directory\./,
    );
    expect(fs.readFileSync(at('file'), 'utf8')).toBe('mine');
  });

  test('no space for the second checkpoint: the first is whole and can be gone on from, the second is not there', async () => {
    const out = at('full-disk');
    const saves: number[] = [];
    const refused = run(
      { ...options, data, out },
      {
        onEvent: (event) => {
          if (event.event !== 'save') return;
          saves.push(event.step);
          // The header of the next safetensors file still fits.
          fail('writeSync', 'ENOSPC', 2);
        },
      },
    );
    await expect(refused).rejects.toThrow(OutputError);
    await expect(refused).rejects.toThrow(/training_state\.safetensors: cannot be written: no space left on the device\./);
    expect(saves).toEqual([2]);
    vi.restoreAllMocks();
    syncBuiltinESMExports();
    expect(fs.readdirSync(out).sort()).toEqual(['checkpoint-2', 'log.jsonl']);
    await run({ ...options, data, out, resume: out });
    const result = 'adapter_model.safetensors';
    expect(fs.readFileSync(join(out, result)).equals(fs.readFileSync(at('whole', result)))).toBe(true);
  });

  test('no space for the log', async () => {
    fail('appendFileSync', 'ENOSPC', 2);
    await expect(run({ ...options, data, out: at('log') })).rejects.toThrow(/log\.jsonl: cannot be written: no space left on the device\./);
    expect(readLines(at('log', 'log.jsonl'))).toHaveLength(1);
  });

  test.each(['fsyncSync', 'renameSync', 'writeSync'] as const)(
    'prune, fuse and quantize leave nothing when %s finds no space',
    async (operation) => {
      for (const nth of [1, 2, 3]) {
        fail(operation, 'ENOSPC', nth);
        const message = /cannot be written: no space left on the device\./;
        await expect(prune({ model: STORIES, method: 'magnitude', out: at('pruned') })).rejects.toThrow(message);
        vi.restoreAllMocks();
        fail(operation, 'ENOSPC', nth);
        expect(() => fuse({ model: STORIES, adapter: at('whole'), out: at('fused') })).toThrow(message);
        vi.restoreAllMocks();
        fail(operation, 'ENOSPC', nth);
        expect(() => quantize({ model: STORIES, groupSize: 4, out: at('quantized') })).toThrow(message);
        vi.restoreAllMocks();
        for (const out of ['pruned', 'fused', 'quantized']) expect(fs.existsSync(at(out)), `${out}, call ${nth}`).toBe(false);
      }
    },
  );

  test('a model that is pruned again over an old one stays the old one, whole, when space runs out', async () => {
    await prune({ model: STORIES, method: 'magnitude', out: at('again') });
    const before = filesOf(at('again')).map((name) => fs.readFileSync(at('again', name)));
    fail('writeSync', 'ENOSPC', 5);
    await expect(prune({ model: STORIES, method: 'magnitude', sparsity: '1:4', out: at('again'), overwrite: true })).rejects.toThrow(
      OutputError,
    );
    vi.restoreAllMocks();
    expect(filesOf(at('again')).map((name) => fs.readFileSync(at('again', name)))).toEqual(before);
  });
});
