/** The golden cases of one linear layer, and a run of one. Nothing here needs Node: the runtimes' runner uses it too. */
import type { FactorTensors } from '../../src/adapters/factors.ts';
import { addFactors, moduleOf } from '../../src/adapters/factors.ts';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { ruleOf } from '../../src/adapters/methods.ts';
import { WeightOps } from '../../src/adapters/weightOps.ts';
import type { Safetensors } from '../../src/io/safetensorsFormat.ts';
import { TILE } from '../../src/kernels/table.ts';
import { ParameterStore } from '../../src/program/parameters.ts';
import { ProgramBuilder } from '../../src/program/program.ts';
import type { Value } from '../../src/program/value.ts';
import { LocalSession } from '../../src/runtime/local.ts';
import { fromTiles, toTiles } from '../../src/runtime/tiles.ts';
import { unpack } from '../../src/sparse/pack.ts';
import type { PackedWeight } from '../../src/sparse/weight.ts';
import { fullest } from '../kernels/data.ts';
import type { LinearCase, Result } from './linearTolerances.ts';

export const CASES = ['nm24', 'nm24_odd', 'nm48', 'nm14', 'csr50', 'csr90', 'csr_empty_rows', 'dense', 'one_token'] as const;
const SCALING = 2;

/** A case of kernels.safetensors. */
export interface GoldenCase extends LinearCase {
  want(method: string, result: Result): Float32Array;
}

export function readCase(golden: Safetensors, name: string): GoldenCase {
  const tensor = (part: string): Float32Array<ArrayBuffer> => new Float32Array(golden.read(`${name}.${part}`).buffer as ArrayBuffer);
  const [rows, cols] = golden.info(`${name}.W`)!.shape as [number, number];
  const rank = golden.info(`${name}.A`)!.shape[1]!;
  const [W, x, gy, A, B, merged] = [tensor('W'), tensor('x'), tensor('gy'), tensor('A'), tensor('B'), tensor('merged')];
  const counts = fullest(W, rows, cols);
  const sizes = { rows, cols, tokens: x.length / cols, rank, ...counts, scaling: SCALING };
  return { ...sizes, W, x, gy, A, B, merged, want: (method, result) => tensor(`${method}.${result}`) };
}

/** Runs the real layer, forward and backward, and a merge by itself. */
export function runLinear(
  c: GoldenCase,
  method: AdapterMethod,
  weight: PackedWeight,
  module: WebAssembly.Module,
): Record<Result | 'merged', Float32Array> {
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

  const session = new LocalSession([step.finish(), merging.finish()], { module });
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
