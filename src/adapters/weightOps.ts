/** The one table of kernels by weight format: merge, both products, the sampled product and its factor gradients. */
import type { Constant } from '../core/constant.ts';
import { explain } from '../core/errors.ts';
import { CHUNK, DTYPE_CODE } from '../kernels/table.ts';
import { BLOCKS, blockParts, stripCount, tokenUnits } from '../sparse/block.ts';
import type { BlockName } from '../sparse/block.ts';
import { LEVELS } from '../quant/grid.ts';
import { blockCount, csrStrips, pointerCount } from '../sparse/csr.ts';
import { quadBlocks, quadStrips } from '../sparse/quad.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { isWhole, keepsPairs } from '../sparse/weight.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { denseUnits, perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { constant } from '../program/value.ts';

/** The index arrays of each format, as its kernels take them. */
type Structure =
  | { readonly format: 'dense' }
  | { readonly format: 'quad'; readonly args: { starts: Value; index: Value } }
  | { readonly format: 'csr'; readonly args: { rowPtr: Value; index: Value } }
  | { readonly format: 'block'; readonly block: BlockName; readonly args: { starts: Value; index: Value; R: number; C: number } };

/** A packed weight in the arena. */
export class WeightOps {
  readonly weight: PackedWeight;
  readonly #name: string;
  readonly #values: Ref;
  readonly #structure: Structure;

  /** `values` stands in for the weight's own values: a parameter, where every kept weight trains. */
  constructor(name: string, weight: PackedWeight, values?: Ref) {
    this.weight = weight;
    this.#name = name;
    const { remote } = weight;
    const part = this.part.bind(this);
    this.#values = values ?? part('values', remote?.values ?? weight.values);
    this.#structure = structureOf(weight, part);
  }

  /** An array of the weight's. Those that live outside the arena are fetched together. */
  part(what: string, data: Constant): Value {
    return constant(`${this.#name} ${what}`, data, this.weight.staged ? this : undefined);
  }

  /** How many values there are, the padding of dense panels included. */
  get length(): number {
    const { format, rows, cols, kept } = this.weight;
    return format === 'dense' ? Math.ceil(rows / 4) * 4 * cols : kept;
  }

  /** The f32 values as they are, unpacked to scratch where they are stored shorter. */
  plainValues(b: ProgramBuilder): Ref {
    return this.weight.dtype === 'F32' ? this.#values : this.merged(b, 0, 0, 0, 1);
  }

  /** merged = (W + scaling up downT') on the pattern, as scratch. Rank 0 only unpacks. */
  merged(b: ProgramBuilder, up: Ref | 0, downT: Ref | 0, rank: number, scaling: number): Value {
    return this.#mergedWith(b, this.#values, up, downT, rank, scaling);
  }

  /** merged = W * (1 + scaling up downT') on the pattern, as scratch. */
  modulated(b: ProgramBuilder, up: Ref, downT: Ref, rank: number, scaling: number): Value {
    const merged = this.#mergedWith(b, 0, up, downT, rank, scaling);
    b.emit('modulate', Math.ceil(this.length / CHUNK), { merged, ...this.#flat });
    return merged;
  }

  #mergedWith(b: ProgramBuilder, values: Ref | 0, up: Ref | 0, downT: Ref | 0, rank: number, scaling: number): Value {
    const { rows: M, cols: K, dtype } = this.weight;
    if (up) this.#needMask();
    const merged = b.scratch('merged', this.length * 4);
    const args = { merged, values, dtype: DTYPE_CODE[dtype], up, downT, rank, scaling, M, K };
    const s = this.#structure;
    if (s.format === 'dense') b.emit('mergeDense', Math.ceil(M / 4), args);
    else if (s.format === 'quad') b.emit('mergeQuad', Math.ceil(K / 4), { ...args, ...s.args });
    else if (s.format === 'csr') b.emit('mergeCsr', M, { ...args, ...s.args });
    else b.emit('mergeBlock', stripCount(s.block, M, K), { ...args, ...s.args });
    return merged;
  }

  /** merged = the nearest points of a grid, in place. */
  snap(b: ProgramBuilder, merged: Value, scales: Value, zeros: Value, size: number): void {
    const { rows: M, cols: K } = this.weight;
    const args = { merged, scales, zeros, size, levels: LEVELS, M, K };
    const s = this.#structure;
    if (s.format === 'dense') b.emit('snapDense', Math.ceil(M / 4), args);
    else if (s.format === 'quad') b.emit('snapQuad', Math.ceil(K / 4), { ...args, ...s.args });
    else if (s.format === 'csr') b.emit('snapCsr', M, { ...args, ...s.args });
    else b.emit('snapBlock', stripCount(s.block, M, K), { ...args, ...s.args });
  }

  /** y = (init or 0) + W x. */
  multiply(b: ProgramBuilder, y: Value, init: Ref | 0, x: Ref, w: Ref): void {
    const { rows: M, cols: K } = this.weight;
    const args = { y, init, x, w, M, K };
    const s = this.#structure;
    if (s.format === 'dense') b.emit('gemm', denseUnits(perTile(), M), { ...args, features: M });
    else if (s.format === 'quad')
      b.emit('spmmQuad', perTile(quadBlocks(M)), { ...args, ...s.args, pairs: Number(keepsPairs(this.weight)) });
    else if (s.format === 'csr') b.emit('spmmCsr', perTile(csrStrips(M), 2), { ...args, ...s.args });
    else b.emit('spmmBlock', perTile(blockParts(M)), { ...args, ...s.args });
  }

  /** y = (init or 0) + W x for one token: values are read as they are stored, not unpacked. */
  multiplyToken(b: ProgramBuilder, y: Value, init: Ref | 0, x: Ref): void {
    const { rows: M, cols: K, dtype } = this.weight;
    const args = { y, init, x, values: this.#values, dtype: DTYPE_CODE[dtype], M, K };
    const s = this.#structure;
    if (s.format === 'dense') b.emit('gemv', Math.ceil(M / 4), args);
    else if (s.format === 'quad') b.emit('spmvQuad', quadBlocks(M), { ...args, ...s.args });
    else if (s.format === 'csr') b.emit('spmvCsr', M, { ...args, ...s.args });
    else b.emit('spmvBlock', tokenUnits(s.block, M, K), { ...args, ...s.args });
  }

  /** dx = (init or 0) + W' dy. */
  multiplyT(b: ProgramBuilder, dx: Value, init: Ref | 0, dy: Ref, w: Ref): void {
    const { rows: M, cols: K } = this.weight;
    const args = { dx, init, dy, w, M, K };
    const s = this.#structure;
    if (s.format === 'dense') b.emit('gemmT', denseUnits(perTile(), K), { ...args, features: M });
    else if (s.format === 'quad')
      b.emit('spmmTQuad', perTile(quadStrips(K)), { ...args, ...s.args, pairs: Number(keepsPairs(this.weight)) });
    else if (s.format === 'csr') b.emit('spmmTCsr', perTile(csrStrips(K), 2), { ...args, ...this.#transposed(b, w, s.args) });
    else b.emit('spmmTBlock', perTile(blockParts(K)), { ...args, ...s.args });
  }

  /** CSR of W' as scratch, for one use. */
  #transposed(b: ProgramBuilder, w: Ref, structure: { rowPtr: Value; index: Value }): { w: Value; colPtr: Value; index: Value } {
    const { rows: M, cols: K } = this.weight;
    const wT = b.scratch('transposed', this.length * 4);
    const colPtr = b.scratch('transposed pointers', pointerCount(M, K) * 4);
    const indexT = b.scratch('transposed index', this.length);
    b.emit('transposeCsr', blockCount(M, K), { wT, colPtr, indexT, w, ...structure, M, K });
    return { w: wT, colPtr, index: indexT };
  }

  /** h = (init or 0) + (dy x') on the pattern: the gradient of every kept weight, in the order of the values. */
  sample(b: ProgramBuilder, h: Ref, init: Ref | 0, dy: Ref, x: Ref): void {
    const { rows: M, cols: K } = this.weight;
    this.#needMask();
    const args = { h, init, dy, x, M, K };
    const s = this.#structure;
    if (s.format === 'dense') b.emit('sddmmDense', Math.ceil(M / 4), { dw: h, init, dy, x, features: M, M, K });
    else if (s.format === 'quad') b.emit('sddmmQuad', Math.ceil(K / 4), { ...args, ...s.args });
    else if (s.format === 'csr') b.emit('sddmmCsr', M, { ...args, ...s.args });
    else b.emit('sddmmBlock', stripCount(s.block, M, K), { ...args, ...s.args });
  }

  /** dy x' on the pattern, as scratch. */
  sampled(b: ProgramBuilder, dy: Ref, x: Ref): Value {
    const h = b.scratch('sampled gradient', this.length * 4);
    this.sample(b, h, 0, dy, x);
    return h;
  }

  /** The same times W: the gradient of what modulates it. */
  sampledTimesValues(b: ProgramBuilder, dy: Ref, x: Ref): Value {
    const h = this.sampled(b, dy, x);
    b.emit('timesValues', Math.ceil(this.length / CHUNK), { h, ...this.#flat });
    return h;
  }

  /** Where zeros are in place, pruned ones would not stay zero. */
  #needMask(): void {
    if (isWhole(this.weight)) return;
    throw new TypeError(explain(this.#name, 'a weight with its mask', 'zeros in place', "Load it without 'one token'."));
  }

  /** The values for kernels that walk them whatever the format. */
  get #flat(): { values: Ref; dtype: number; n: number } {
    return { values: this.#values, dtype: DTYPE_CODE[this.weight.dtype], n: this.length };
  }

  /** dUp += scaling H down', dDownT += scaling H' up. */
  factorGradients(b: ProgramBuilder, dUp: Ref, dDownT: Ref, h: Ref, up: Ref, downT: Ref, rank: number, scaling: number): void {
    const { rows: M, cols: K } = this.weight;
    const forUp = { dUp, h, downT, rank, scaling, M, K };
    const forDown = { dDownT, h, up, rank, scaling, M, K };
    const s = this.#structure;
    if (s.format === 'dense') {
      b.emit('upGradDense', Math.ceil(M / 4), forUp);
      b.emit('downGradDense', K, forDown);
    } else if (s.format === 'quad') {
      b.emit('upGradQuad', rank / 4, { ...forUp, ...s.args });
      b.emit('downGradQuad', Math.ceil(K / 4), { ...forDown, ...s.args });
    } else if (s.format === 'csr') {
      b.emit('upGradCsr', rank / 4, { ...forUp, ...s.args });
      b.emit('downGradCsr', rank / 4, { ...forDown, ...s.args });
    } else {
      b.emit('upGradBlock', rank / 4, { ...forUp, ...s.args });
      b.emit('downGradBlock', rank / 4, { ...forDown, ...s.args });
    }
  }
}

function structureOf(weight: PackedWeight, part: (what: string, data: Constant) => Value): Structure {
  const { remote } = weight;
  switch (weight.format) {
    case 'dense':
      return { format: 'dense' };
    case 'csr': {
      const rowPtr = part('rows', remote?.rowPtr ?? weight.rowPtr);
      return { format: 'csr', args: { rowPtr, index: part('index', remote?.index ?? weight.index) } };
    }
    case 'quad':
    case 'block': {
      const args = { starts: part('starts', remote?.starts ?? weight.starts), index: part('index', remote?.index ?? weight.index) };
      if (weight.format === 'quad') return { format: 'quad', args };
      const { rows: R, cols: C } = BLOCKS[weight.block];
      return { format: 'block', block: weight.block, args: { ...args, R, C } };
    }
  }
}
