import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { pack } from '../../src/sparse/pack.ts';
import { EPS, expectClose, largest } from '../kernels/claims.ts';
import { eachFlavour } from '../kernels/harness.ts';
import { hasShared, sharedPath } from '../shared.ts';
import type { GoldenCase as Golden } from './linearRun.ts';
import { CASES, readCase, runLinear } from './linearRun.ts';
import type { LinearCase } from './linearTolerances.ts';
import { mergedTolerance, resultTolerances } from './linearTolerances.ts';

const METHODS = ['lors', 'sp-lora', 'lora', 'hira'] as const;

const golden = hasShared
  ? parseSafetensors(new Uint8Array(readFileSync(sharedPath('golden', 'kernels.safetensors'))), 'kernels.safetensors')
  : undefined;

const read = (name: string): Golden => readCase(golden!, name);

/** The same case with SPP's factors, P as B and q as A; undefined where the rank does not divide the outputs. */
function readSpp(name: string): Golden | undefined {
  if (!golden!.info(`${name}.spp.P`)) return undefined;
  const tensor = (part: string): Float32Array<ArrayBuffer> => new Float32Array(golden!.read(`${name}.spp.${part}`).buffer as ArrayBuffer);
  const c = read(name);
  const [B, A] = [tensor('P'), tensor('q')];
  const repeats = c.rows / c.rank;
  const update = (i: number, j: number): number => A[i]! * B[Math.floor(i / repeats) * c.cols + j]!;
  const names = { y: 'y', gx: 'gx', gA: 'gq', gB: 'gP' } as const;
  return { ...c, A, B, merged: modulated(c, update), want: (_, result) => tensor(names[result]) };
}

/** HiRA by its definition, in f64: PyTorch's golden numbers have none of it. */
function readHira(name: string): Golden {
  const c = read(name);
  const { rows, cols, tokens, rank, W, x, gy, A, B, scaling } = c;
  const sum = (n: number, f: (i: number) => number): number => Array.from({ length: n }, (_, i) => f(i)).reduce((a, b) => a + b, 0);
  const all = (m: number, n: number, f: (i: number, j: number) => number): Float64Array =>
    Float64Array.from({ length: m * n }, (_, at) => f(Math.floor(at / n), at % n));
  const update = (i: number, j: number): number => sum(rank, (k) => A[i * rank + k]! * B[k * cols + j]!);
  const wide = all(rows, cols, (i, j) => W[i * cols + j]! * (1 + scaling * update(i, j)));
  const G = all(rows, cols, (i, j) => W[i * cols + j]! && W[i * cols + j]! * sum(tokens, (t) => gy[t * rows + i]! * x[t * cols + j]!));
  const results = {
    y: () => all(tokens, rows, (t, i) => sum(cols, (j) => wide[i * cols + j]! * x[t * cols + j]!)),
    gx: () => all(tokens, cols, (t, j) => sum(rows, (i) => wide[i * cols + j]! * gy[t * rows + i]!)),
    gA: () => all(rows, rank, (i, k) => scaling * sum(cols, (j) => G[i * cols + j]! * B[k * cols + j]!)),
    gB: () => all(rank, cols, (k, j) => scaling * sum(rows, (i) => G[i * cols + j]! * A[i * rank + k]!)),
  };
  return { ...c, merged: Float32Array.from(wide), want: (_, result) => Float32Array.from(results[result]()) };
}

function modulated({ W, cols, scaling }: LinearCase, update: (i: number, j: number) => number): Float32Array {
  return W.map((w, at) => w * (1 + scaling * update(Math.floor(at / cols), at % cols)));
}

describe.skipIf(!hasShared)(hasShared ? "PyTorch's numbers" : "PyTorch's numbers (skipped: no ../shared)", () => {
  eachFlavour((flavour) => {
    describe.each(CASES)('%s', (name) => {
      const formats = name === 'dense' ? (['dense', 'quad', 'csr'] as const) : (['quad', 'csr'] as const);
      describe.each(formats)('as %s', (format) => {
        const claim = (method: AdapterMethod, c: Golden): void => {
          const got = runLinear(c, method, pack('F32', c.W, c.rows, c.cols, { format }), kernelModule(flavour).module);
          const allowed = resultTolerances(method, c);
          for (const result of ['y', 'gx', 'gA', 'gB'] as const) {
            const want = c.want(method, result);
            expectClose(`${name} ${method} ${result}`, got[result], want, allowed[result] + EPS * largest(want));
          }
          expectClose(`${name} ${method} merged`, got.merged, c.merged, (i) => (c.merged[i] === 0 ? 0 : mergedTolerance(method, c)));
        };

        test.each(METHODS)('%s: y, gx, gA, gB and the merged weight, zeros kept', (method) => {
          claim(method, method === 'hira' ? readHira(name) : read(name));
        });

        const spp = hasShared ? readSpp(name) : undefined;
        test.skipIf(!spp)('spp: y, gx, gP, gq and the merged weight, zeros kept', () => claim('spp', spp!));
      });
    });
  });

  test('SPP is there in every case whose rank divides the outputs', () => {
    for (const name of CASES) {
      const { rows, rank } = read(name);
      expect([name, readSpp(name) !== undefined]).toEqual([name, rows % rank === 0]);
    }
  });
});
