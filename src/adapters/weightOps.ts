/** The one table of kernels by weight format: merge, both products, the sampled product and its factor gradients. */
import type { Constant } from '../core/constant.ts';
import { DTYPE_CODE } from '../kernels/table.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { constant } from '../program/value.ts';

/** A packed weight in the arena. */
export class WeightOps {
  readonly weight: PackedWeight;
  readonly #values: Ref;
  readonly #structure: { starts: Value; index: Value } | { rowPtr: Value; index: Value } | undefined;

  /** `values` stands in for the weight's own values: a parameter, where every kept weight trains. */
  constructor(name: string, weight: PackedWeight, values?: Ref) {
    this.weight = weight;
    // Arrays that live outside the arena are fetched together.
    const unit = weight.staged ? this : undefined;
    const part = (what: string, data: Constant): Value => constant(`${name} ${what}`, data, unit);
    const { remote } = weight;
    this.#values = values ?? part('values', remote?.values ?? weight.values);
    if (weight.format === 'quad')
      this.#structure = { starts: part('starts', remote?.starts ?? weight.starts), index: part('index', remote?.index ?? weight.index) };
    if (weight.format === 'csr')
      this.#structure = { rowPtr: part('rows', remote?.rowPtr ?? weight.rowPtr), index: part('index', remote?.index ?? weight.index) };
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
    const { rows: M, cols: K, dtype } = this.weight;
    const merged = b.scratch('merged', this.length * 4);
    const args = { merged, values: this.#values, dtype: DTYPE_CODE[dtype], up, downT, rank, scaling, M, K };
    const structure = this.#structure;
    if (!structure) b.emit('mergeDense', Math.ceil(M / 4), args);
    else if ('starts' in structure) b.emit('mergeQuad', Math.ceil(K / 4), { ...args, ...structure });
    else b.emit('mergeCsr', M, { ...args, ...structure });
    return merged;
  }

  /** y = (init or 0) + W x. */
  multiply(b: ProgramBuilder, y: Value, init: Ref | 0, x: Ref, w: Ref): void {
    const { rows: M, cols: K } = this.weight;
    const structure = this.#structure;
    if (!structure) b.emit('gemm', perTile(), { y, init, x, w, features: M, M, K });
    else if ('starts' in structure) b.emit('spmmQuad', perTile(), { y, init, x, w, ...structure, M, K });
    else b.emit('spmmCsr', perTile(), { y, init, x, w, ...structure, M, K });
  }

  /** y = (init or 0) + W x for one token: values are read as they are stored, not unpacked. */
  multiplyToken(b: ProgramBuilder, y: Value, init: Ref | 0, x: Ref): void {
    const { rows: M, cols: K, dtype } = this.weight;
    const args = { y, init, x, values: this.#values, dtype: DTYPE_CODE[dtype], M, K };
    const structure = this.#structure;
    if (!structure) b.emit('gemv', Math.ceil(M / 4), args);
    else if ('starts' in structure) b.emit('spmvQuad', Math.ceil(M / 512), { ...args, ...structure });
    else b.emit('spmvCsr', M, { ...args, ...structure });
  }

  /** dx = (init or 0) + W' dy. */
  multiplyT(b: ProgramBuilder, dx: Value, init: Ref | 0, dy: Ref, w: Ref): void {
    const { rows: M, cols: K } = this.weight;
    const structure = this.#structure;
    if (!structure) b.emit('gemmT', perTile(), { dx, init, dy, w, features: M, M, K });
    else if ('starts' in structure) b.emit('spmmTQuad', perTile(), { dx, init, dy, w, ...structure, M, K });
    else b.emit('spmmTCsr', perTile(), { dx, init, dy, w, ...structure, M, K });
  }

  /** h = (init or 0) + (dy x') on the pattern: the gradient of every kept weight, in the order of the values. */
  sample(b: ProgramBuilder, h: Ref, init: Ref | 0, dy: Ref, x: Ref): void {
    const { rows: M, cols: K } = this.weight;
    const structure = this.#structure;
    if (!structure) b.emit('sddmmDense', Math.ceil(M / 4), { dw: h, init, dy, x, features: M, M, K });
    else if ('starts' in structure) b.emit('sddmmQuad', Math.ceil(K / 4), { h, init, dy, x, ...structure, M, K });
    else b.emit('sddmmCsr', M, { h, init, dy, x, ...structure, M, K });
  }

  /** dUp += scaling H down', dDownT += scaling H' up. A dense weight has no use for it: see LorsLinear. */
  factorGradients(b: ProgramBuilder, dUp: Ref, dDownT: Ref, h: Ref, up: Ref, downT: Ref, rank: number, scaling: number): void {
    const { rows: M, cols: K } = this.weight;
    const structure = this.#structure;
    if (!structure) throw new TypeError('factorGradients: expected a sparse weight, got a dense one.');
    const forUp = { dUp, h, downT, rank, scaling, M, K };
    const forDown = { dDownT, h, up, rank, scaling, M, K };
    if ('starts' in structure) {
      b.emit('upGradQuad', rank / 4, { ...forUp, ...structure });
      b.emit('downGradQuad', Math.ceil(K / 4), { ...forDown, ...structure });
    } else {
      b.emit('upGradCsr', rank / 4, { ...forUp, ...structure });
      b.emit('downGradCsr', rank / 4, { ...forDown, ...structure });
    }
  }
}
