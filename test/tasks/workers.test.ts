import fs from 'node:fs';
import { beforeAll, afterEach, expect, test, vi } from 'vitest';
import { join } from 'node:path';
import { WorkerError } from '../../src/core/errors.ts';
import { PooledSession } from '../../src/threads/pool.ts';
import { STORIES, interruptAt, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

withShared('a run on worker threads', () => {
  const root = temporaryDirectory();
  const at = (...parts: string[]): string => join(root, ...parts);
  const options = {
    model: STORIES,
    iters: 6,
    batchSize: 2,
    maxSeqLength: 64,
    rank: 4,
    stepsPerReport: 1,
    saveEvery: 1,
    threads: 2,
  } as const;
  let data: string;
  beforeAll(() => (data = writeStories(at('data'), 12)));
  afterEach(() => vi.restoreAllMocks());

  /** Ends a worker thread in the n-th training program of a run. */
  function endWorkerIn(n: number): void {
    const original = Reflect.get(PooledSession.prototype, 'run');
    let trained = 0;
    vi.spyOn(PooledSession.prototype, 'run').mockImplementation(function (this: PooledSession, name, counts) {
      const running = original.call(this, name, counts);
      if (name === 'train' && ++trained === n) void this.workers[1]!.terminate();
      return running;
    });
  }

  test('that loses one ends with the op named and the last checkpoint kept, and goes on from there to the same end', async () => {
    await run({ ...options, data, out: at('whole') });
    endWorkerIn(4);
    const lost = run({ ...options, data, out: at('lost') });
    await expect(lost).rejects.toThrow(WorkerError);
    await expect(lost).rejects.toThrow(/ failed in worker 1: .* The last good checkpoint is .*lost\/checkpoint-3\.$/);
    expect(fs.existsSync(at('lost', 'adapter_model.safetensors'))).toBe(false);
    vi.restoreAllMocks();
    await run({ ...options, data, out: at('lost'), resume: at('lost') });
    const adapter = (out: string): Buffer => fs.readFileSync(at(out, 'adapter_model.safetensors'));
    expect(adapter('lost').equals(adapter('whole'))).toBe(true);
  });

  test('is the same on any number of threads, also when it is interrupted on one number and goes on with another', async () => {
    const adapter = (out: string): Buffer => fs.readFileSync(at(out, 'adapter_model.safetensors'));
    await run({ ...options, data, out: at('one'), threads: 1 });
    await run({ ...options, data, out: at('three'), threads: 3 });
    expect(adapter('three').equals(adapter('one'))).toBe(true);
    await run({ ...options, data, out: at('both'), threads: 1 }, interruptAt(3));
    await run({ ...options, data, out: at('both'), threads: 2, resume: at('both') });
    expect(adapter('both').equals(adapter('one'))).toBe(true);
  });
});
