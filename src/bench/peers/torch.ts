/** Native PyTorch, eager, in a process of its own that is told what to do line by line (eager.py). */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { UnsupportedError, WorkerError, explain } from '../../core/errors.ts';
import { checkBackward, checkForward, checkSame, checkSampled, factorGradientsOf, mergedOf } from '../check.ts';
import type { Problem } from '../problem.ts';
import type { Op } from '../work.ts';
import type { Peer } from './peer.ts';

/** Beside the sources, which ship with the package; source and compiled files are equally deep in it. */
const SCRIPT = fileURLToPath(new URL('../../../src/bench/peers/eager.py', import.meta.url));

/** Throws UnsupportedError where `python` has no torch. */
export async function torch(python: string): Promise<Peer> {
  const probe = spawnSync(python, ['-c', 'import torch'], { encoding: 'utf8' });
  if (probe.status !== 0) {
    const got = probe.error?.message ?? (probe.stderr.trim().split('\n').at(-1) || `exit code ${probe.status}`);
    throw new UnsupportedError(explain('--against torch', `${python} with PyTorch`, got, 'Name another one with --python.'));
  }
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  // A process that is gone is said by the answer that does not come.
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = (await lines.next()) as { value?: string; done?: boolean };
    if (done) throw new WorkerError('torch: expected an answer, got the end of the process. Is there memory for it?');
    return value!;
  };
  const ask = (...words: readonly (string | number)[]): Promise<string> => {
    child.stdin.write(`${JSON.stringify(words)}\n`);
    return answer();
  };
  const version = await answer();
  return {
    name: 'torch',
    version,
    canUse: () => true,
    open: async (problem, dense, ops, threads) => {
      const { rows, cols, tokens, rank, x, dy, factors } = problem;
      const directory = mkdtempSync(join(tmpdir(), 'lors-torch-'));
      const put = (name: string, data: Float32Array): void =>
        writeFileSync(join(directory, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      for (const [name, data] of Object.entries({ w: dense, x, dy, up: factors.up, down: factors.down })) put(name, data);
      await ask('open', directory, rows, cols, tokens, rank, threads);
      const read = (name: string): Float32Array => {
        const bytes = readFileSync(join(directory, name));
        return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      };
      return {
        cases: ops.map((op) => ({
          op,
          run: async () => Number(await ask('run', op)),
          check: async () => {
            await ask('result', op);
            checkTorch(op, read, dense, problem);
          },
        })),
        close: async () => {
          try {
            await ask('close');
          } finally {
            rmSync(directory, { recursive: true });
          }
        },
      };
    },
    end: () => child.stdin.end(),
  };
}

function checkTorch(op: Op, read: (name: string) => Float32Array, dense: Float32Array, problem: Problem): void {
  const what = `torch ${op}`;
  switch (op) {
    case 'spmm':
      checkForward(what, read('y'), dense, problem);
      break;
    case 'spmmT':
      checkBackward(what, read('dx'), dense, problem);
      break;
    case 'merge':
      checkSame(what, read('merged'), mergedOf(dense, problem));
      break;
    case 'sddmm':
      checkSampled(what, read('h'), dense, problem);
      break;
    case 'step': {
      const merged = mergedOf(dense, problem);
      checkForward(`${what}: y`, read('y'), merged, problem);
      checkBackward(`${what}: dx`, read('dx'), merged, problem);
      const { dUp, dDown } = factorGradientsOf(problem);
      checkSame(`${what}: dUp`, read('dUp'), dUp);
      checkSame(`${what}: dDown`, read('dDown'), dDown);
    }
  }
}
