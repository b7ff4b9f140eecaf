/** The calls that a packed weight answers, whatever its format: the kernels of quads, CSR, blocks and panels behind one face. */
import { transposeCsr } from '../../src/kernels/reference/csr.ts';
import { DTYPE_CODE, TILE } from '../../src/kernels/table.ts';
import { BLOCKS, blockParts, stripCount, tokenUnits } from '../../src/sparse/block.ts';
import { blockCount, csrStrips, pointerCount } from '../../src/sparse/csr.ts';
import { quadBlocks, quadStrips } from '../../src/sparse/quad.ts';
import type { BlockWeight, CsrWeight, PackedWeight, QuadWeight } from '../../src/sparse/weight.ts';
import { keepsPairs } from '../../src/sparse/weight.ts';
import type { Elements } from './elements.ts';
import { KernelCall } from './harness.ts';

/** Where an output starts from: zeros, another buffer, or itself. */
export const INITS = ['zero', 'other', 'itself'] as const;
export type Init = (typeof INITS)[number];

type Floats = Float32Array<ArrayBuffer>;

/** Units of a dense product: 32 tiles by twelve rows or inputs. */
export function denseUnits(features: number, tiles: number): number {
  return Math.ceil(features / 12) * Math.ceil(tiles / 32);
}

function started(init: Init, name: string, initial: Floats): { out: number | Elements; init: 0 | Elements | string } {
  if (init === 'itself') return { out: initial, init: name };
  return { out: initial.length, init: init === 'other' ? initial : 0 };
}

/** The arguments that say where a block weight's values are. */
function structureOf({ starts, index, block }: BlockWeight): { starts: Uint32Array; index: Uint8Array; R: number; C: number } {
  return { starts, index, R: BLOCKS[block].rows, C: BLOCKS[block].cols };
}

/** What transposeCsr makes of a weight with other values. */
export function transposed(
  { rows, cols, kept, rowPtr, index }: CsrWeight,
  values: ArrayLike<number>,
): { w: Float64Array; colPtr: Uint32Array; index: Uint8Array } {
  const [wT, colPtr, indexT] = [new Float64Array(kept), new Uint32Array(pointerCount(rows, cols)), new Uint8Array(kept)];
  transposeCsr(wT, colPtr, indexT, Float64Array.from(values), rowPtr, index, rows, cols, 0, blockCount(rows, cols));
  return { w: wT, colPtr, index: indexT };
}

export class WeightCalls {
  readonly weight: PackedWeight;
  readonly tiles: number;
  /** What the products of quads are told: whether all rows keep two inputs. 0 is never wrong. */
  readonly pairs: number;

  constructor(weight: PackedWeight, tiles: number, pairs = Number(keepsPairs(weight))) {
    this.weight = weight;
    this.tiles = tiles;
    this.pairs = pairs;
  }

  /** Floats of one side's activations: [tiles][features][16]. */
  floats(side: 'in' | 'out'): number {
    return this.tiles * TILE * (side === 'in' ? this.weight.cols : this.weight.rows);
  }

  #quads({ starts, index }: QuadWeight): { starts: Uint32Array; index: Uint8Array; pairs: number; tiles: number } {
    return { starts, index, pairs: this.pairs, tiles: this.tiles };
  }

  #blocks(weight: BlockWeight): ReturnType<typeof structureOf> & { tiles: number } {
    return { ...structureOf(weight), tiles: this.tiles };
  }

  /** y = init + W x, with f32 values. */
  multiply(init: Init, initial: Floats, x: Floats, w: Floats): KernelCall<'spmmQuad' | 'spmmCsr' | 'spmmBlock' | 'gemm'> {
    const { rows: M, cols: K } = this.weight;
    const { out: y, init: from } = started(init, 'y', initial);
    const args = { y, init: from, x, w, M, K };
    const twos = Math.ceil(this.tiles / 2);
    if (this.weight.format === 'quad')
      return new KernelCall('spmmQuad', this.tiles * quadBlocks(M), { ...args, ...this.#quads(this.weight) });
    if (this.weight.format === 'csr')
      return new KernelCall('spmmCsr', twos * csrStrips(M), {
        ...args,
        rowPtr: this.weight.rowPtr,
        index: this.weight.index,
        tiles: this.tiles,
      });
    if (this.weight.format === 'block')
      return new KernelCall('spmmBlock', this.tiles * blockParts(M), { ...args, ...this.#blocks(this.weight) });
    return new KernelCall('gemm', denseUnits(M, this.tiles), { ...args, features: M, tiles: this.tiles });
  }

  /** y = init + W x for one token, with values of the weight's own type. */
  multiplyToken(init: Init, initial: Floats, x: Floats): KernelCall<'spmvQuad' | 'spmvCsr' | 'spmvBlock' | 'gemv'> {
    const { rows: M, cols: K, values, dtype } = this.weight;
    const { out: y, init: from } = started(init, 'y', initial);
    const args = { y, init: from, x, values: values as Elements, dtype: DTYPE_CODE[dtype], M, K };
    if (this.weight.format === 'quad')
      return new KernelCall('spmvQuad', quadBlocks(M), { ...args, starts: this.weight.starts, index: this.weight.index });
    if (this.weight.format === 'csr')
      return new KernelCall('spmvCsr', M, { ...args, rowPtr: this.weight.rowPtr, index: this.weight.index });
    if (this.weight.format === 'block')
      return new KernelCall('spmvBlock', tokenUnits(this.weight.block, M, K), { ...args, ...structureOf(this.weight) });
    return new KernelCall('gemv', Math.ceil(M / 4), args);
  }

  /** dx = init + W' dy, with f32 values. */
  multiplyT(init: Init, initial: Floats, dy: Floats, w: Floats): KernelCall<'spmmTQuad' | 'spmmTCsr' | 'spmmTBlock' | 'gemmT'> {
    const { rows: M, cols: K } = this.weight;
    const { out: dx, init: from } = started(init, 'dx', initial);
    const args = { dx, init: from, dy, w, M, K };
    const twos = Math.ceil(this.tiles / 2);
    if (this.weight.format === 'quad')
      return new KernelCall('spmmTQuad', this.tiles * quadStrips(K), { ...args, ...this.#quads(this.weight) });
    if (this.weight.format === 'csr') {
      const { w: wT, ...lists } = transposed(this.weight, w);
      return new KernelCall('spmmTCsr', twos * csrStrips(K), { ...args, w: Float32Array.from(wT), ...lists, tiles: this.tiles });
    }
    if (this.weight.format === 'block')
      return new KernelCall('spmmTBlock', this.tiles * blockParts(K), { ...args, ...this.#blocks(this.weight) });
    return new KernelCall('gemmT', denseUnits(K, this.tiles), { ...args, features: M, tiles: this.tiles });
  }

  /** CSR of W' with other values. */
  transpose(values: Floats): KernelCall<'transposeCsr'> {
    const { weight } = this;
    if (weight.format !== 'csr') throw new TypeError(`transpose: expected csr, got ${weight.format}.`);
    const { rows: M, cols: K, kept, rowPtr, index } = weight;
    const sizes = { wT: kept, colPtr: pointerCount(M, K), indexT: kept };
    return new KernelCall('transposeCsr', blockCount(M, K), { ...sizes, w: values, rowPtr, index, M, K });
  }

  /** merged = (W + scaling up downT') on the pattern; rank 0 where there are no factors, W = 0 where `into` is zeros. */
  merge(
    factors?: {
      up: Floats;
      downT: Floats;
      rank: number;
      scaling: number;
    },
    into: 'values' | 'zeros' = 'values',
  ): KernelCall<'mergeQuad' | 'mergeCsr' | 'mergeBlock' | 'mergeDense'> {
    const { rows: M, cols: K, values, dtype } = this.weight;
    const { up = 0, downT = 0, rank = 0, scaling = 1 } = factors ?? {};
    const from = into === 'values' ? (values as Elements) : 0;
    const args = { merged: values.length, values: from, dtype: DTYPE_CODE[dtype], up, downT, rank, scaling, M, K } as const;
    if (this.weight.format === 'quad')
      return new KernelCall('mergeQuad', Math.ceil(K / 4), { ...args, starts: this.weight.starts, index: this.weight.index });
    if (this.weight.format === 'csr')
      return new KernelCall('mergeCsr', M, { ...args, rowPtr: this.weight.rowPtr, index: this.weight.index });
    if (this.weight.format === 'block')
      return new KernelCall('mergeBlock', stripCount(this.weight.block, M, K), { ...args, ...structureOf(this.weight) });
    return new KernelCall('mergeDense', Math.ceil(M / 4), args);
  }

  /** Values onto a grid of `levels` steps. */
  snap(
    merged: Floats,
    grid: { scales: Floats; zeros: Floats; size: number },
    levels: number,
  ): KernelCall<'snapQuad' | 'snapCsr' | 'snapBlock' | 'snapDense'> {
    const { rows: M, cols: K } = this.weight;
    const args = { merged, ...grid, levels, M, K };
    if (this.weight.format === 'quad')
      return new KernelCall('snapQuad', Math.ceil(K / 4), { ...args, starts: this.weight.starts, index: this.weight.index });
    if (this.weight.format === 'csr')
      return new KernelCall('snapCsr', M, { ...args, rowPtr: this.weight.rowPtr, index: this.weight.index });
    if (this.weight.format === 'block')
      return new KernelCall('snapBlock', stripCount(this.weight.block, M, K), { ...args, ...structureOf(this.weight) });
    return new KernelCall('snapDense', Math.ceil(M / 4), args);
  }

  /** h = init + (dy x') on the pattern. */
  sample(init: Init, initial: Floats, dy: Floats, x: Floats): KernelCall<'sddmmQuad' | 'sddmmCsr' | 'sddmmBlock' | 'sddmmDense'> {
    const { rows: M, cols: K } = this.weight;
    const { out, init: from } = started(init, this.weight.format === 'dense' ? 'dw' : 'h', initial);
    const args = { init: from, dy, x, M, K, tiles: this.tiles };
    if (this.weight.format === 'quad')
      return new KernelCall('sddmmQuad', Math.ceil(K / 4), { h: out, ...args, starts: this.weight.starts, index: this.weight.index });
    if (this.weight.format === 'csr')
      return new KernelCall('sddmmCsr', M, { h: out, ...args, rowPtr: this.weight.rowPtr, index: this.weight.index });
    if (this.weight.format === 'block')
      return new KernelCall('sddmmBlock', stripCount(this.weight.block, M, K), { h: out, ...args, ...structureOf(this.weight) });
    return new KernelCall('sddmmDense', Math.ceil(M / 4), { dw: out, ...args, features: M });
  }

  /** An array in the order of the values; what pads the last panel of a dense weight is 0. */
  likeValues(values: Floats): Floats {
    const { format, rows, cols } = this.weight;
    if (format !== 'dense') return values;
    return values.map((v, n) => (Math.floor(n / (4 * cols)) * 4 + (n % 4) < rows ? v : 0));
  }

  /** dUp += scaling H down'. */
  upGradient(
    dUp: Floats,
    h: Floats,
    downT: Floats,
    rank: number,
    scaling: number,
  ): KernelCall<'upGradQuad' | 'upGradCsr' | 'upGradBlock' | 'upGradDense'> {
    const args = { dUp, h, downT, rank, scaling, M: this.weight.rows, K: this.weight.cols };
    if (this.weight.format === 'quad')
      return new KernelCall('upGradQuad', rank / 4, { ...args, starts: this.weight.starts, index: this.weight.index });
    if (this.weight.format === 'csr')
      return new KernelCall('upGradCsr', rank / 4, { ...args, rowPtr: this.weight.rowPtr, index: this.weight.index });
    if (this.weight.format === 'block') return new KernelCall('upGradBlock', rank / 4, { ...args, ...structureOf(this.weight) });
    return new KernelCall('upGradDense', Math.ceil(this.weight.rows / 4), args);
  }

  /** dDownT += scaling H' up. */
  downGradient(
    dDownT: Floats,
    h: Floats,
    up: Floats,
    rank: number,
    scaling: number,
  ): KernelCall<'downGradQuad' | 'downGradCsr' | 'downGradBlock' | 'downGradDense'> {
    const { rows: M, cols: K } = this.weight;
    const args = { dDownT, h, up, rank, scaling, M, K };
    if (this.weight.format === 'quad')
      return new KernelCall('downGradQuad', Math.ceil(K / 4), { ...args, starts: this.weight.starts, index: this.weight.index });
    if (this.weight.format === 'csr')
      return new KernelCall('downGradCsr', rank / 4, { ...args, rowPtr: this.weight.rowPtr, index: this.weight.index });
    if (this.weight.format === 'block') return new KernelCall('downGradBlock', rank / 4, { ...args, ...structureOf(this.weight) });
    return new KernelCall('downGradDense', K, args);
  }
}
