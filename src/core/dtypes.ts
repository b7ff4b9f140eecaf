/**
 * Element types of weights, as safetensors names them, and exact conversion to and from f32.
 * f16: IEEE 754 binary16; bf16: the upper half of binary32. Rounding is to nearest, ties to even.
 */

export type WeightDtype = 'F32' | 'F16' | 'BF16';

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<WeightDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

const scratchF32 = new Float32Array(1);
const scratchU32 = new Uint32Array(scratchF32.buffer);

/** bf16 bits of x, rounded to nearest even; NaN stays NaN. */
export function toBf16(x: number): number {
  scratchF32[0] = x;
  const bits = scratchU32[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The value of bf16 bits. */
export function fromBf16(bits: number): number {
  scratchU32[0] = bits << 16;
  return scratchF32[0]!;
}

/** f16 bits of x, rounded to nearest even from its f32 value; overflow becomes infinity, NaN stays NaN. */
export function toF16(x: number): number {
  scratchF32[0] = x;
  const bits = scratchU32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal in f16: a multiple of 2^-24. Division by a power of two is exact, so this rounds once.
    return sign | roundHalfEven(Math.abs(scratchF32[0]) * 16777216);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The value of f16 bits. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** Storage of a dtype's elements: u16 bits for the half types. */
export type WeightArray = Float32Array | Uint16Array;

/** f32 values of packed elements. */
export function decodeWeights(dtype: WeightDtype, elements: WeightArray): Float32Array {
  if (dtype === 'F32') return Float32Array.from(elements as Float32Array);
  const decode = dtype === 'BF16' ? fromBf16 : fromF16;
  const out = new Float32Array(elements.length);
  for (let i = 0; i < out.length; i++) out[i] = decode(elements[i]!);
  return out;
}

/** Packs f32 values, rounding to the dtype. */
export function encodeWeights(dtype: WeightDtype, values: Float32Array): WeightArray {
  if (dtype === 'F32') return Float32Array.from(values);
  const encode = dtype === 'BF16' ? toBf16 : toF16;
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = encode(values[i]!);
  return out;
}

/** The smallest positive value of a dtype (a subnormal): what a kept weight becomes when it would round to zero. */
export const SMALLEST: Readonly<Record<WeightDtype, number>> = { F32: 2 ** -149, F16: 2 ** -24, BF16: 2 ** -133 };
