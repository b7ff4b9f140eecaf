/** Rotary angles of every position, computed in f64 (rotate-half form; Llama 3's frequency scaling where configured). */
import type { LlamaConfig } from './config.ts';

export interface RopeTables {
  /** [positions][headDim / 2] */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Tables for positions 0 .. positions - 1. */
export function ropeTables(config: LlamaConfig, positions: number): RopeTables {
  const frequencies = ropeFrequencies(config);
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let p = 0; p < positions; p++) {
    for (let d = 0; d < half; d++) {
      cos[p * half + d] = Math.cos(p * frequencies[d]!);
      sin[p * half + d] = Math.sin(p * frequencies[d]!);
    }
  }
  return { cos, sin };
}

/** Radians a position turns each pair. Llama 3 slows the low frequencies (transformers' _compute_llama3_parameters). */
export function ropeFrequencies(config: LlamaConfig): Float64Array {
  const frequencies = Float64Array.from({ length: config.headDim / 2 }, (_, d) => config.ropeTheta ** ((-2 * d) / config.headDim));
  const scaling = config.ropeScaling;
  if (!scaling) return frequencies;
  const { factor, lowFreqFactor, highFreqFactor, originalPositions } = scaling;
  return frequencies.map((f) => {
    const turns = (originalPositions * f) / (2 * Math.PI);
    if (turns < lowFreqFactor) return f / factor;
    if (turns > highFreqFactor) return f;
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}
