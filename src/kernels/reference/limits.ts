/** Oracles of assembly/limits.ts. */

const RUN = 16384;

export function multiplyAdds(y: Float64Array, x: Float64Array, w: Float64Array, turns: number, begin: number, end: number): void {
  for (let u = begin; u < end; u++) {
    for (let i = 0; i < 16; i++) {
      let sum = 0;
      for (let n = 0; n < turns; n++) sum += x[(n & 7) * 16 + i]!;
      y[u * 16 + i] = (w[0]! + w[1]! + w[2]! + w[3]!) * sum;
    }
  }
}

export function readRuns(bits: Uint32Array, words: Uint32Array, begin: number, end: number): void {
  for (let u = begin; u < end; u++) {
    bits.fill(0, u * 4, u * 4 + 4);
    for (let i = 0; i < RUN; i++) bits[u * 4 + (i & 3)]! |= words[u * RUN + i]!;
  }
}

export function copyRuns(y: Float64Array, x: Float64Array, begin: number, end: number): void {
  y.set(x.subarray(begin * RUN, end * RUN), begin * RUN);
}
