import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { FactorTensors } from '../../src/adapters/factors.ts';
import { addFactors, moduleOf } from '../../src/adapters/factors.ts';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { ruleOf } from '../../src/adapters/methods.ts';
import { WeightOps } from '../../src/adapters/weightOps.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { TILE } from '../../src/kernels/table.ts';
import type { Flavour } from '../../src/kernels/table.ts';
import { ParameterStore } from '../../src/program/parameters.ts';
import { ProgramBuilder } from '../../src/program/program.ts';
import type { Value } from '../../src/program/value.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { fromTiles, toTiles } from '../../src/runtime/tiles.ts';
import { pack, unpack } from '../../src/sparse/pack.ts';
import type { PackedWeight } from '../../src/sparse/weight.ts';
import { EPS, expectClose, largest } from '../kernels/claims.ts';
import { fullest } from '../kernels/data.ts';
import { eachFlavour } from '../kernels/harness.ts';
import { hasShared, sharedPath } from '../shared.ts';
import type { LinearCase, Result } from './linearTolerances.ts';
import { mergedTolerance, resultTolerances } from './linearTolerances.ts';

const CASES = ['nm24', 'nm24_odd', 'nm48', 'nm14', 'csr50', 'csr90', 'csr_empty_rows', 'dense', 'one_token'];
const METHODS = ['lors', 'sp-lora', 'lora', 'hira'] as const;
const SCALING = 2;

interface Golden extends LinearCase {
  want(method: string, result: Result): Float32Array;
}

const golden = hasShared
  ? parseSafetensors(new Uint8Array(readFileSync(sharedPath('golden', 'kernels.safetensors'))), 'kernels.safetensors')
  : undefined;

function read(name: string): Golden {
  const tensor = (part: string): Float32Array<ArrayBuffer> => new Float32Array(golden!.read(`${name}.${part}`).buffer as ArrayBuffer);
  const [rows, cols] = golden!.info(`${name}.W`)!.shape as [number, number];
  const rank = golden!.info(`${name}.A`)!.shape[1]!;
  const [W, x, gy, A, B, merged] = [tensor('W'), tensor('x'), tensor('gy'), tensor('A'), tensor('B'), tensor('merged')];
  const counts = fullest(W, rows, cols);
  const sizes = { rows, cols, tokens: x.length / cols, rank, ...counts, scaling: SCALING };
  return { ...sizes, W, x, gy, A, B, merged, want: (method, result) => tensor(`${method}.${result}`) };
}

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

/** Runs the real layer, forward and backward, and a merge by itself. */
function run(c: Golden, method: AdapterMethod, weight: PackedWeight, flavour: Flavour): Record<Result | 'merged', Float32Array> {
  const { rows, cols, tokens, rank } = c;
  const tiles = Math.ceil(tokens / TILE);
  const { upShape, linear } = ruleOf(method);
  const initial: FactorTensors = { rank, up: c.A, down: c.B };
  const factors = addFactors(new ParameterStore(), 'golden', cols, rows, SCALING, initial, { upShape });
  const layer = linear('golden', new WeightOps('golden', weight), factors, {});

  const value = (name: string, features: number, kind: 'input' | 'output'): Value => ({ name, kind, bytes: tiles * features * TILE * 4 });
  const [x, dy] = [value('x', cols, 'input'), value('dy', rows, 'input')];
  const [y, dx] = [value('y', rows, 'output'), value('dx', cols, 'output')];
  const step = new ProgramBuilder('step', tiles);
  layer.forward(step, y, 0, x);
  layer.backward(step, dx, 0, dy, x);
  const merging = new ProgramBuilder('merge', tiles);
  const merged = layer.merged(merging);

  const session = new LocalSession([step.finish(), merging.finish()], { module: kernelModule(flavour).module });
  session.write(x, toTiles(c.x, tokens, cols));
  session.write(dy, toTiles(c.gy, tokens, rows));
  const counts = { tokens, tiles, labelled: 0, labelTiles: 0 };
  session.run('step', counts);
  session.run('merge', counts);
  const { up, down } = moduleOf(factors, ({ gradient, length }) => session.floats(gradient).slice(0, length));
  return {
    y: fromTiles(session.floats(y), tokens, rows),
    gx: fromTiles(session.floats(dx), tokens, cols),
    gA: up,
    gB: down,
    merged: unpack(weight, session.floats(merged).slice()),
  };
}

describe.skipIf(!hasShared)(hasShared ? "PyTorch's numbers" : "PyTorch's numbers (skipped: no ../shared)", () => {
  eachFlavour((flavour) => {
    describe.each(CASES)('%s', (name) => {
      const formats = name === 'dense' ? (['dense', 'quad', 'csr'] as const) : (['quad', 'csr'] as const);
      describe.each(formats)('as %s', (format) => {
        const claim = (method: AdapterMethod, c: Golden): void => {
          const got = run(c, method, pack('F32', c.W, c.rows, c.cols, { format }), flavour);
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
