/** Dense to packed and back, for any format and element type. */
import type { WeightArray, WeightDtype } from '../core/dtypes.ts';
import { decodeWeights } from '../core/dtypes.ts';
import { explain } from '../core/errors.ts';
import type { PackedFor } from '../core/flavour.ts';
import type { Room } from '../core/room.ts';
import { HEAP } from '../core/room.ts';
import type { BlockName } from './block.ts';
import { BLOCK_NAMES, eachInBlocks, packBlocks } from './block.ts';
import { chooseFormat } from './choose.ts';
import { eachInCsr, packCsr } from './csr.ts';
import { bitsOf, fitsBlocks, keptIn, patternOf, quadsOfElements, quadsOfMask } from './keepMask.ts';
import { eachInQuads, packQuads } from './quad.ts';
import type { BlockWeight, DenseWeight, PackedWeight } from './weight.ts';
import { isWhole } from './weight.ts';

export interface PackOptions {
  /** 1 = kept, [rows, cols]; the non-zeros when absent. */
  readonly keep?: Uint8Array;
  /** The format; chosen by pattern, density and what it is for when absent. */
  readonly format?: PackedWeight['format'];
  /** The kernels that the weight is for; `relaxed` when absent, as most hosts have it. */
  readonly packedFor?: PackedFor | undefined;
  /** Where the arrays of the weight stand, and those that it takes to make them; the host's heap when absent. */
  readonly room?: Room | undefined;
  /** With format `block`: which; the largest that the mask is made of when absent. */
  readonly block?: BlockName;
}

/**
 * Packs a row-major matrix W [rows, cols] of raw elements. The zeros of the matrix are its mask unless `keep` says so.
 * Throws RangeError for a wrong length, or format `block` for a mask that is not of whole blocks.
 */
export function pack(dtype: WeightDtype, elements: WeightArray, rows: number, cols: number, options: PackOptions = {}): PackedWeight {
  if (elements.length !== rows * cols) {
    throw new RangeError(explain('pack', `${rows} x ${cols} = ${rows * cols} elements`, `${elements.length}`));
  }
  const { room = HEAP } = options;
  if (options.format === 'dense') return packDense(dtype, elements, rows, cols, room);
  const quads = options.keep ? quadsOfMask(options.keep, rows, cols, room) : quadsOfElements(dtype, elements, rows, cols, room);
  const kept = keptIn(quads);
  const pattern = patternOf(quads, kept, rows, cols);
  let format = options.format ?? chooseFormat(pattern, kept / elements.length, options.packedFor ?? 'relaxed', dtype);
  // For one token at a time a mask may be left to the zeros, but not one that is given: what it prunes need not be zero, nor what it keeps not.
  if (format === 'dense' && options.keep && pattern !== 'dense') format = 'csr';
  if (format === 'dense') return { ...packDense(dtype, elements, rows, cols, room), pattern, kept };
  const values = sameKind(elements, kept, room);
  const common = { rows, cols, dtype, pattern, kept, values };
  const [from, to] = [bitsOf(elements), bitsOf(values)];
  if (format === 'quad') return { format, ...common, ...packQuads(quads, from, to, rows, cols, room) };
  if (format === 'block') {
    const block = options.block ?? BLOCK_NAMES.find((name) => fitsBlocks(quads, name, rows, cols));
    if (!block || !fitsBlocks(quads, block, rows, cols)) {
      throw new RangeError(
        explain('pack', `a mask of whole blocks of ${block ?? BLOCK_NAMES.join(' or ')}`, `${rows} x ${cols} with others`),
      );
    }
    const weight: BlockWeight = { format, ...common, ...packBlocks(quads, block, rows, cols, room) };
    let n = 0;
    eachPosition(weight, (position) => {
      to[n++] = from[position]!;
    });
    return weight;
  }
  return { format, ...common, ...packCsr(quads, from, to, rows, cols, room) };
}

/** Packs every element, zeros included, in panels of four rows. */
export function packDense(dtype: WeightDtype, elements: WeightArray, rows: number, cols: number, room = HEAP): DenseWeight {
  const values = sameKind(elements, Math.ceil(rows / 4) * 4 * cols, room);
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
  const [from, to] = [bitsOf(values), bitsOf(out)];
  let n = 0;
  eachPosition(weight, (position) => {
    to[position] = from[n++]!;
  });
  return out;
}

/** The matrix [rows, cols] as numbers. */
export function matrixOf(weight: PackedWeight): Float32Array {
  return decodeWeights(weight.dtype, unpack(weight, weight.values));
}

/** Row-major position of each kept value, in the order of the format. */
export function valueOrder(weight: PackedWeight): Uint32Array {
  const order = new Uint32Array(weight.kept);
  let n = 0;
  eachPosition(weight, (position) => {
    order[n++] = position;
  });
  return order;
}

/** The mask of a packed weight, row-major, 1 = kept. */
export function keepMaskOf(weight: PackedWeight): Uint8Array {
  const keep = new Uint8Array(weight.rows * weight.cols);
  if (weight.format === 'dense') {
    if (isWhole(weight)) return keep.fill(1);
    return Uint8Array.from(decodeWeights(weight.dtype, unpack(weight, weight.values)), (v) => Number(v !== 0));
  }
  eachPosition(weight, (position) => {
    keep[position] = 1;
  });
  return keep;
}

function eachPosition(weight: PackedWeight, visit: (position: number) => void): void {
  const { rows, cols } = weight;
  if (weight.format === 'quad') eachInQuads(weight.starts, weight.index, rows, cols, visit);
  else if (weight.format === 'csr') eachInCsr(weight.rowPtr, weight.index, rows, cols, visit);
  else if (weight.format === 'block') eachInBlocks(weight, rows, cols, visit);
  else throw new TypeError('eachPosition: a dense weight has padding among its values; use unpack().');
}

function sameKind<T extends WeightArray>(like: T, length: number, room = HEAP): T {
  return room<WeightArray>(like instanceof Float32Array ? Float32Array : Uint16Array, length) as T;
}
