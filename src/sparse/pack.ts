/** Dense to packed and back, for any format and element type. */
import type { WeightArray, WeightDtype } from '../core/dtypes.ts';
import { explain } from '../core/errors.ts';
import { csrOrder, csrStructure } from './csr.ts';
import { nonZeros, patternOf } from './keepMask.ts';
import { quadOrder, quadStructure } from './quad.ts';
import type { DenseWeight, PackedWeight } from './weight.ts';

export interface PackOptions {
  /** 1 = kept, [rows, cols]; the non-zeros when absent. */
  readonly keep?: Uint8Array;
  /** The format; chosen by pattern and density when absent. */
  readonly format?: PackedWeight['format'];
}

/** Below this density an unstructured mask goes to CSR: its quads keep one input or none, so buckets share nothing. */
const CSR_DENSITY = 0.35;

/** Packs a row-major matrix W [rows, cols] of raw elements. The zeros of the matrix are its mask unless `keep` says so. */
export function pack(dtype: WeightDtype, elements: WeightArray, rows: number, cols: number, options: PackOptions = {}): PackedWeight {
  if (elements.length !== rows * cols) {
    throw new RangeError(explain('pack', `${rows} x ${cols} = ${rows * cols} elements`, `${elements.length}`));
  }
  if (options.format === 'dense') return packDense(dtype, elements, rows, cols);
  const keep = options.keep ?? nonZeros(dtype, elements);
  const pattern = patternOf(keep, cols);
  const format = options.format ?? chooseFormat(keep, pattern);
  if (format === 'dense') return packDense(dtype, elements, rows, cols);
  if (format === 'quad') {
    const { starts, index, order } = quadStructure(keep, rows, cols);
    return { format, rows, cols, dtype, pattern, kept: order.length, values: gather(elements, order), starts, index };
  }
  const { rowPtr, index, order } = csrStructure(keep, rows, cols);
  return { format, rows, cols, dtype, pattern, kept: order.length, values: gather(elements, order), rowPtr, index };
}

function chooseFormat(keep: Uint8Array, pattern: string): PackedWeight['format'] {
  if (pattern === 'dense') return 'dense';
  if (pattern !== 'unstructured') return 'quad';
  let kept = 0;
  for (let i = 0; i < keep.length; i++) kept += keep[i]!;
  return kept < keep.length * CSR_DENSITY ? 'csr' : 'quad';
}

/** Packs every element, zeros included, in panels of four rows. */
export function packDense(dtype: WeightDtype, elements: WeightArray, rows: number, cols: number): DenseWeight {
  const values = sameKind(elements, Math.ceil(rows / 4) * 4 * cols);
  for (let r = 0; r < rows; r++) {
    let at = (r >> 2) * cols * 4 + (r & 3);
    for (let c = 0; c < cols; c++, at += 4) values[at] = elements[r * cols + c]!;
  }
  return { format: 'dense', rows, cols, dtype, pattern: 'dense', kept: rows * cols, values };
}

/** Row-major elements [rows, cols]; `values` stands in for the weight's own, in the order of its format. */
export function unpack<T extends WeightArray>(weight: PackedWeight, values: T): T {
  const { rows, cols } = weight;
  const out = sameKind(values, rows * cols);
  if (weight.format === 'dense') {
    for (let r = 0; r < rows; r++) {
      let at = (r >> 2) * cols * 4 + (r & 3);
      for (let c = 0; c < cols; c++, at += 4) out[r * cols + c] = values[at]!;
    }
    return out;
  }
  const order = valueOrder(weight);
  for (let n = 0; n < order.length; n++) out[order[n]!] = values[n]!;
  return out;
}

/** Row-major position of each kept value, in the order of the format. */
export function valueOrder(weight: PackedWeight): Uint32Array {
  if (weight.format === 'quad') return quadOrder(weight.starts, weight.index, weight.rows, weight.cols);
  if (weight.format === 'csr') return csrOrder(weight.rowPtr, weight.index, weight.rows, weight.cols);
  throw new TypeError('valueOrder: a dense weight has padding among its values; use unpack().');
}

/** The mask of a packed weight, row-major, 1 = kept. */
export function keepMaskOf(weight: PackedWeight): Uint8Array {
  const keep = new Uint8Array(weight.rows * weight.cols);
  if (weight.format === 'dense') return keep.fill(1);
  const order = valueOrder(weight);
  for (let n = 0; n < order.length; n++) keep[order[n]!] = 1;
  return keep;
}

function gather<T extends WeightArray>(elements: T, order: Uint32Array): T {
  const values = sameKind(elements, order.length);
  for (let n = 0; n < order.length; n++) values[n] = elements[order[n]!]!;
  return values;
}

function sameKind<T extends WeightArray>(like: T, length: number): T {
  return (like instanceof Float32Array ? new Float32Array(length) : new Uint16Array(length)) as T;
}
