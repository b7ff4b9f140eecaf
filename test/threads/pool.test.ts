import { afterEach, describe, expect, test } from 'vitest';
import { WorkerError } from '../../src/core/errors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import type { Training } from '../../src/models/llama.ts';
import { CompiledLlama } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { ProgramBuilder, denseUnits, perTile } from '../../src/program/program.ts';
import type { Program } from '../../src/program/program.ts';
import type { Value } from '../../src/program/value.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import type { Session } from '../../src/runtime/session.ts';
import { PooledSession } from '../../src/threads/pool.ts';
import { TINY_OPTIONS, tinyAdapters, tinyModel, writeTinyBatch } from '../gradients/tinyLlama.ts';
import { eachFlavour } from '../kernels/harness.ts';

const sessions: PooledSession[] = [];
afterEach(() => Promise.all(sessions.splice(0).map((session) => session.close())));

function pooled(programs: readonly Program[], threads: number, flavour: Flavour = 'plain'): PooledSession {
  const session = new PooledSession(programs, { module: kernelModule(flavour, true).module, threads });
  sessions.push(session);
  return session;
}

/** Losses and gradients of a step, as bits. */
async function step(model: LlamaModel, training: Training, open: (programs: readonly Program[]) => Session): Promise<Uint32Array[]> {
  const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training });
  const session = open([compiled.train()]);
  const counts = writeTinyBatch(session, compiled, model);
  await session.run('train', counts);
  return [compiled.losses, ...compiled.store.runs.map((run) => run.gradients)].map((value) => session.words(value).slice());
}

/** The model with projections that are fetched for each use. */
function staged(model: LlamaModel): LlamaModel {
  return { ...model, linears: new Map([...model.linears].map(([name, weight]) => [name, { ...weight, staged: true }])) };
}

eachFlavour((flavour) => {
  describe.each(['2:4', '90 % sparse'] as const)('a step of a %s model', (pattern) => {
    const model = tinyModel(pattern);
    const local = (programs: readonly Program[]): Session => new LocalSession(programs, { module: kernelModule(flavour).module });

    test.each([1, 2, 3, 5])('has the same bits on %d threads as without any, pinned and staged', async (threads) => {
      const training = tinyAdapters(model, 'lors', 'exact');
      const alone = await step(model, training, local);
      expect(alone.some((words) => new Float32Array(words.buffer).some((v) => v !== 0 && Number.isFinite(v)))).toBe(true);
      const onThreads = (programs: readonly Program[]): Session => pooled(programs, threads, flavour);
      expect(await step(model, training, onThreads)).toEqual(alone);
      expect(await step(staged(model), training, onThreads)).toEqual(alone);
      expect(await step(staged(model), training, local)).toEqual(alone);
    });
  });
});

describe('a pool', () => {
  const model = tinyModel('2:4');
  const compile = (): { compiled: CompiledLlama; program: Program } => {
    const compiled = new CompiledLlama(model, { ...TINY_OPTIONS, training: tinyAdapters(model, 'lors', 'lors') });
    return { compiled, program: compiled.train() };
  };

  /** A program that never ends by itself within a test: thousands of long products. */
  function long(): { program: Program; x: Value } {
    const b = new ProgramBuilder('long', 64);
    const K = 512;
    const x: Value = { name: 'x', bytes: 64 * K * 64, kind: 'input' };
    const w: Value = { name: 'w', bytes: K * K * 4, kind: 'input' };
    b.within('layers.3.mlp', () => {
      const y = b.activation('y', K);
      for (let i = 0; i < 20_000; i++) b.emit('gemm', denseUnits(perTile(), K), { y, init: 0, x, w, features: K, M: K, K });
    });
    return { program: b.finish(), x };
  }
  const FULL = { tokens: 1024, tiles: 64, labelled: 0, labelTiles: 0 };

  test('leaves the host its turns while a program runs', async () => {
    const { compiled, program } = compile();
    const session = pooled([program], 2);
    const counts = writeTinyBatch(session, compiled, model);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    for (let i = 0; i < 50; i++) await session.run('train', counts);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(2);
  });

  test('a kernel that traps ends the run with its op named; the session stays ended', async () => {
    const { compiled, program } = compile();
    const session = pooled([program], 3);
    const counts = writeTinyBatch(session, compiled, model);
    session.words(compiled.inputs.ids).fill(0x01000000);
    const run = session.run('train', counts);
    await expect(run).rejects.toThrow(WorkerError);
    await expect(run).rejects.toThrow(/^op \d+ embed \(embed_tokens\) failed in worker \d: .*memory access out of bounds/);
    await expect(session.run('train', counts)).rejects.toThrow(/^op \d+ embed/);
  });

  test.each([0, 1])('a worker that dies (worker %d of 2) ends the run within a second, its op named', async (victim) => {
    const { program } = long();
    const session = pooled([program], 2);
    await session.ready();
    const run = session.run('long', FULL);
    run.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = performance.now();
    void session.workers[victim]!.terminate();
    await expect(run).rejects.toThrow(/^op \d+ gemm \(layers\.3\.mlp\) failed in worker \d: /);
    expect(performance.now() - before).toBeLessThan(1000);
  });

  test('closing ends a run that is under way, and the threads with it', async () => {
    const { program } = long();
    const session = pooled([program], 2);
    const run = session.run('long', FULL);
    run.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await session.close();
    await expect(run).rejects.toThrow('The session was closed while a program ran.');
    await expect(session.run('long', FULL)).rejects.toThrow(/closed/);
  });

  test('two runs at once are refused', async () => {
    const { compiled, program } = compile();
    const session = pooled([program], 2);
    const counts = writeTinyBatch(session, compiled, model);
    const first = session.run('train', counts);
    await expect(session.run('train', counts)).rejects.toThrow('one program at a time');
    await first;
  });
});
