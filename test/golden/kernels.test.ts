import { readFileSync } from 'node:fs';
import { describe, test } from 'vitest';
import { addFactors, unpadDown, unpadUp } from '../../src/adapters/factors.ts';
import { LoraLinear } from '../../src/adapters/lora.ts';
import { LorsLinear } from '../../src/adapters/lors.ts';
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
const METHODS = ['lors', 'sp-lora', 'lora'] as const;
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

/** Runs the real layer, forward and backward, and a merge by itself. */
function run(c: Golden, method: (typeof METHODS)[number], weight: PackedWeight, flavour: Flavour): Record<Result | 'merged', Float32Array> {
  const { rows, cols, tokens, rank } = c;
  const tiles = Math.ceil(tokens / TILE);
  const store = new ParameterStore();
  const factors = addFactors(store, 'golden', cols, rows, SCALING, { rank, up: c.A, down: c.B });
  const ops = new WeightOps('golden', weight);
  const layer =
    method === 'lora'
      ? new LoraLinear('golden', ops, factors)
      : new LorsLinear('golden', ops, factors, method === 'lors' ? 'lors' : 'exact');

  const value = (name: string, features: number, kind: 'input' | 'output'): Value => ({ name, kind, bytes: tiles * features * TILE * 4 });
  const [x, dy] = [value('x', cols, 'input'), value('dy', rows, 'input')];
  const [y, dx] = [value('y', rows, 'output'), value('dx', cols, 'output')];
  const step = new ProgramBuilder('step', tiles);
  layer.forward(step, y, 0, x);
  layer.backward(step, dx, 0, dy, x);
  const merging = new ProgramBuilder('merge', tiles);
  const merged = ops.merged(merging, factors.up.value, factors.downT.value, factors.padded, SCALING);

  const session = new LocalSession([step.finish(), merging.finish()], { module: kernelModule(flavour).module });
  session.write(x, toTiles(c.x, tokens, cols));
  session.write(dy, toTiles(c.gy, tokens, rows));
  const counts = { tokens, tiles, labelled: 0, labelTiles: 0 };
  session.run('step', counts);
  session.run('merge', counts);
  return {
    y: fromTiles(session.floats(y), tokens, rows),
    gx: fromTiles(session.floats(dx), tokens, cols),
    gA: unpadUp(session.floats(factors.up.gradient), rows, rank, factors.padded),
    gB: unpadDown(session.floats(factors.downT.gradient), cols, rank, factors.padded),
    merged: unpack(weight, session.floats(merged).slice()),
  };
}

describe.skipIf(!hasShared)(hasShared ? "PyTorch's numbers" : "PyTorch's numbers (skipped: no ../shared)", () => {
  eachFlavour((flavour) => {
    describe.each(CASES)('%s', (name) => {
      const formats = name === 'dense' ? (['dense', 'quad', 'csr'] as const) : (['quad', 'csr'] as const);
      describe.each(formats)('as %s', (format) => {
        test.each(METHODS)('%s: y, gx, gA, gB and the merged weight, zeros kept', (method) => {
          const c = read(name);
          const got = run(c, method, pack('F32', c.W, c.rows, c.cols, { format }), flavour);
          const allowed = resultTolerances(method, c);
          for (const result of ['y', 'gx', 'gA', 'gB'] as const) {
            const want = c.want(method, result);
            expectClose(`${name} ${method} ${result}`, got[result], want, allowed[result] + EPS * largest(want));
          }
          expectClose(`${name} merged`, got.merged, c.merged, (i) => (c.merged[i] === 0 ? 0 : mergedTolerance(c)));
        });
      });
    });
  });
});
