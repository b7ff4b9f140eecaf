/**
 * `lors-wasm/kernels`: the kernels on Float32Arrays. Matrices are row-major: W [rows, cols] (out x in), X [tokens, cols],
 * Y and dY [tokens, rows].
 *
 * @example
 * const weight = pack(matrix, 512, 256);                       // the zeros of the matrix are its mask
 * const layer = new LorsLayer(weight, { rank: 8, up, down }, { scaling: 2, maxTokens: 128 });
 * const y = layer.forward(x, 128);
 * const { dx, dUp, dDown } = layer.backward(x, dy, 128);
 */
import { addFactors, unpadDown, unpadUp } from './adapters/factors.ts';
import type { FactorTensors, Factors } from './adapters/factors.ts';
import type { AdapterGradient } from './adapters/lors.ts';
import { LorsLinear } from './adapters/lors.ts';
import { WeightOps } from './adapters/weightOps.ts';
import { explain } from './core/errors.ts';
import { kernelModule } from './io/kernelModule.ts';
import type { Flavour } from './core/flavour.ts';
import { probeFlavour } from './kernels/load.ts';
import { TILE } from './kernels/table.ts';
import { ParameterStore } from './program/parameters.ts';
import type { Counts } from './program/program.ts';
import { ProgramBuilder } from './program/program.ts';
import type { Value } from './program/value.ts';
import { LocalSession } from './runtime/local.ts';
import { fromTiles, toTiles } from './runtime/tiles.ts';
import type { PackOptions } from './sparse/pack.ts';
import { pack as packElements, unpack as unpackElements } from './sparse/pack.ts';
import type { PackedWeight } from './sparse/weight.ts';

export { probeFlavour } from './kernels/load.ts';
export type { Flavour, PackedFor } from './core/flavour.ts';
export type { AdapterGradient } from './adapters/lors.ts';
export type { FactorTensors } from './adapters/factors.ts';
export type { PackOptions } from './sparse/pack.ts';
export type { ArrayKind, Room } from './core/room.ts';
export type { BlockWeight, CsrWeight, DenseWeight, PackedWeight, QuadWeight } from './sparse/weight.ts';

export interface KernelOptions {
  /** SIMD flavour; the fastest that the host validates when absent. */
  readonly kernels?: Flavour | 'auto';
}

/**
 * Packs a matrix [rows, cols]; its zeros are the mask unless `keep` says so. The format is chosen for the kernels that `packedFor` says,
 * the fastest that the host validates when absent. Throws RangeError for a wrong length.
 */
export function pack(matrix: Float32Array, rows: number, cols: number, options: PackOptions = {}): PackedWeight {
  return packElements('F32', matrix, rows, cols, { packedFor: probeFlavour(), ...options });
}

/** The matrix [rows, cols] of a packed f32 weight. */
export function unpack(weight: PackedWeight): Float32Array {
  return unpackElements(weight, f32Values(weight));
}

/** (W + scaling up down) on the pattern, [rows, cols]. up [rows, rank], down [rank, cols]. */
export function merge(weight: PackedWeight, factors: FactorTensors, scaling: number, options: KernelOptions = {}): Float32Array {
  const store = new ParameterStore();
  const { up, downT, padded } = checkedFactors(store, weight, factors, scaling);
  const b = new ProgramBuilder('merge', 0);
  const merged = new WeightOps('weight', weight).merged(b, up.value, downT.value, padded, scaling);
  const session = new LocalSession([b.finish()], kernelModule(options.kernels));
  session.run('merge', countsOf(0));
  return unpackElements(weight, session.floats(merged).slice(0, weight.values.length));
}

/** Y = X W', [tokens, rows]. */
export function spmm(weight: PackedWeight, x: Float32Array, tokens: number, options: KernelOptions = {}): Float32Array {
  return product('spmm', weight, x, tokens, weight.cols, weight.rows, options);
}

/** dX = dY W, [tokens, cols]. */
export function spmmT(weight: PackedWeight, dy: Float32Array, tokens: number, options: KernelOptions = {}): Float32Array {
  return product('spmmT', weight, dy, tokens, weight.rows, weight.cols, options);
}

function product(
  what: 'spmm' | 'spmmT',
  weight: PackedWeight,
  input: Float32Array,
  tokens: number,
  from: number,
  to: number,
  options: KernelOptions,
): Float32Array {
  checkTokens(what, input, tokens, from);
  const tiles = Math.ceil(tokens / TILE);
  const x: Value = { name: 'x', bytes: tiles * from * 64, kind: 'input' };
  const y: Value = { name: 'y', bytes: tiles * to * 64, kind: 'output' };
  const b = new ProgramBuilder(what, tiles);
  const ops = new WeightOps('weight', weight);
  if (what === 'spmm') ops.multiply(b, y, 0, x, ops.plainValues(b));
  else ops.multiplyT(b, y, 0, x, ops.plainValues(b));
  const session = new LocalSession([b.finish()], kernelModule(options.kernels));
  session.write(x, toTiles(input, tokens, from));
  session.run(what, countsOf(tokens));
  return fromTiles(session.floats(y), tokens, to);
}

export interface LorsLayerOptions extends KernelOptions {
  readonly scaling: number;
  /** `lors`: the paper's, the mask left out of the factor gradients; `exact`: the forward's own. */
  readonly gradient?: AdapterGradient;
  /** The most tokens of a call. */
  readonly maxTokens: number;
}

/** One linear layer with a LoRS adapter: y = ((W + scaling up down) * mask) x, and its backward pass. */
export class LorsLayer {
  readonly #weight: PackedWeight;
  readonly #factors: Factors;
  readonly #session: LocalSession;
  readonly #maxTokens: number;
  readonly #x: Value;
  readonly #y: Value;
  readonly #dy: Value;
  readonly #dx: Value;

  /** Throws RangeError where the factors do not fit the weight. */
  constructor(weight: PackedWeight, factors: FactorTensors, options: LorsLayerOptions) {
    const store = new ParameterStore();
    this.#weight = weight;
    this.#maxTokens = options.maxTokens;
    this.#factors = checkedFactors(store, weight, factors, options.scaling);
    const tiles = Math.ceil(options.maxTokens / TILE);
    const buffer = (name: string, features: number, kind: 'input' | 'output'): Value => ({ name, bytes: tiles * features * 64, kind });
    this.#x = buffer('x', weight.cols, 'input');
    this.#y = buffer('y', weight.rows, 'output');
    this.#dy = buffer('dy', weight.rows, 'input');
    this.#dx = buffer('dx', weight.cols, 'output');
    const layer = new LorsLinear('layer', new WeightOps('weight', weight), this.#factors, options.gradient ?? 'lors');
    const forward = new ProgramBuilder('forward', tiles);
    layer.forward(forward, this.#y, 0, this.#x);
    const backward = new ProgramBuilder('backward', tiles);
    for (const run of store.runs) backward.emit('clear', run.chunks, { x: run.gradients });
    layer.backward(backward, this.#dx, 0, this.#dy, this.#x);
    this.#session = new LocalSession([forward.finish(), backward.finish()], kernelModule(options.kernels));
  }

  /** y [tokens, rows] of x [tokens, cols]. */
  forward(x: Float32Array, tokens: number): Float32Array {
    this.#put(this.#x, 'forward: x', x, tokens, this.#weight.cols);
    this.#session.run('forward', countsOf(tokens));
    return fromTiles(this.#session.floats(this.#y), tokens, this.#weight.rows);
  }

  /** dx [tokens, cols], dUp [rows, rank] and dDown [rank, cols] of x and dy [tokens, rows]. */
  backward(x: Float32Array, dy: Float32Array, tokens: number): { dx: Float32Array; dUp: Float32Array; dDown: Float32Array } {
    const { rows, cols } = this.#weight;
    this.#put(this.#x, 'backward: x', x, tokens, cols);
    this.#put(this.#dy, 'backward: dy', dy, tokens, rows);
    this.#session.run('backward', countsOf(tokens));
    const { rank, padded, up, downT } = this.#factors;
    return {
      dx: fromTiles(this.#session.floats(this.#dx), tokens, cols),
      dUp: unpadUp(this.#session.floats(up.gradient), rows, rank, padded),
      dDown: unpadDown(this.#session.floats(downT.gradient), cols, rank, padded),
    };
  }

  #put(value: Value, what: string, x: Float32Array, tokens: number, features: number): void {
    checkTokens(what, x, tokens, features);
    if (tokens > this.#maxTokens) throw new RangeError(explain(what, `at most ${this.#maxTokens} tokens`, `${tokens}`));
    this.#session.write(value, toTiles(x, tokens, features));
  }
}

function checkedFactors(store: ParameterStore, weight: PackedWeight, factors: FactorTensors, scaling: number): Factors {
  const { rank, up, down } = factors;
  if (up.length !== weight.rows * rank)
    throw new RangeError(explain('up', `${weight.rows} x ${rank} = ${weight.rows * rank} numbers`, `${up.length}`));
  if (down.length !== rank * weight.cols)
    throw new RangeError(explain('down', `${rank} x ${weight.cols} = ${rank * weight.cols} numbers`, `${down.length}`));
  return addFactors(store, 'layer', weight.cols, weight.rows, scaling, factors);
}

function checkTokens(what: string, x: Float32Array, tokens: number, features: number): void {
  if (x.length !== tokens * features)
    throw new RangeError(explain(what, `${tokens} tokens x ${features} features = ${tokens * features} numbers`, `${x.length}`));
}

function f32Values(weight: PackedWeight): Float32Array {
  if (weight.values instanceof Float32Array) return weight.values;
  throw new TypeError(explain('unpack', 'an F32 weight', weight.dtype));
}

function countsOf(tokens: number): Counts {
  return { tokens, tiles: Math.ceil(tokens / TILE), labelled: 0, labelTiles: 0 };
}
