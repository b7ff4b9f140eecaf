/** The peers themselves, on a small problem of whole numbers: their results are those of our dense kernels, or nothing is timed. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { UnsupportedError } from '../../src/core/errors.ts';
import { peerModule } from '../../src/bench/peers/module.ts';
import { ortWeb } from '../../src/bench/peers/ort.ts';
import type { Peer } from '../../src/bench/peers/peer.ts';
import { tfjsWasm } from '../../src/bench/peers/tfjs.ts';
import { torch } from '../../src/bench/peers/torch.ts';
import { parsePatterns } from '../../src/bench/patterns.ts';
import { makeMatrix, makeProblem } from '../../src/bench/problem.ts';
import { OPS } from '../../src/bench/work.ts';

const python = process.env['LORS_PYTHON'] ?? 'python3';
const hasTorch = spawnSync(python, ['-c', 'import torch']).status === 0;

const problem = makeProblem({ rows: 20, cols: 28 }, 6, 4);
const [pattern] = parsePatterns(['dense']);
const dense = makeMatrix(pattern!, problem);

async function checkAll(peer: Peer, w: Float32Array): Promise<string[]> {
  const { cases, close } = await peer.open(problem, w, OPS, 1);
  try {
    for (const { run, check } of cases) {
      await run();
      await check();
    }
    return cases.map(({ op }) => op);
  } finally {
    await close();
  }
}

describe.each<[name: string, open: () => Promise<Peer>, ops: readonly string[], here: boolean]>([
  ['ort-web', ortWeb, ['spmm', 'spmmT'], true],
  ['tfjs-wasm', tfjsWasm, ['spmm', 'spmmT'], true],
  ['torch', () => torch(python), OPS, hasTorch],
])('%s', (name, open, ops, here) => {
  test.skipIf(!here)('computes what we do, op by op', async () => {
    const peer = await open();
    try {
      expect(peer.name).toBe(name);
      expect(peer.version).toMatch(/^\d+\.\d+/);
      expect(await checkAll(peer, dense)).toEqual(ops);
    } finally {
      peer.end();
    }
  });
});

test('a package that is not there is named, with how to install it', async () => {
  const missing = peerModule('ort-web', ['onnxruntime-web'], () => Promise.reject(new Error('Cannot find package\nstack')));
  await expect(missing).rejects.toThrow(UnsupportedError);
  await expect(missing).rejects.toThrow(
    '--against ort-web: expected the package onnxruntime-web, got Cannot find package. Install it beside lors-wasm: npm install onnxruntime-web',
  );
});
