/** Oracles of what stands between the linear layers: RMSNorm, rotary positions, SwiGLU. */
import { TILE } from '../table.ts';
import type { Maybe } from './layout.ts';
import { sum, tiled } from './layout.ts';

export function rmsNorm(
  y: Float64Array,
  rstd: Float64Array,
  x: Float64Array,
  gain: Float64Array,
  K: number,
  eps: number,
  begin: number,
  end: number,
): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    rstd[t] = 1 / Math.sqrt(sum(K, (k) => x[tiled(t, k, K)]! ** 2) / K + eps);
    for (let k = 0; k < K; k++) y[tiled(t, k, K)] = gain[k]! * x[tiled(t, k, K)]! * rstd[t]!;
  }
}

/** With xhat = x rstd: dx = (init or 0) + rstd (g dy - xhat mean(g dy xhat)). */
export function rmsNormBackward(
  dx: Float64Array,
  init: Maybe,
  dy: Float64Array,
  x: Float64Array,
  rstd: Float64Array,
  gain: Float64Array,
  K: number,
  begin: number,
  end: number,
): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    const r = rstd[t]!;
    const mean = sum(K, (k) => gain[k]! * dy[tiled(t, k, K)]! * x[tiled(t, k, K)]! * r) / K;
    for (let k = 0; k < K; k++) {
      const at = tiled(t, k, K);
      dx[at] = (init ? init[at]! : 0) + r * (gain[k]! * dy[at]! - x[at]! * r * mean);
    }
  }
}

export function rmsNormGainGrad(
  dGain: Float64Array,
  dy: Float64Array,
  x: Float64Array,
  rstd: Float64Array,
  K: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  for (let k = begin; k < end; k++) dGain[k]! += sum(tiles * TILE, (t) => dy[tiled(t, k, K)]! * x[tiled(t, k, K)]! * rstd[t]!);
}

export function ropeAngles(
  cos: Float64Array,
  sin: Float64Array,
  cosTable: Float64Array,
  sinTable: Float64Array,
  positions: Uint32Array,
  half: number,
  begin: number,
  end: number,
): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let d = 0; d < half; d++) {
      cos[tiled(t, d, half)] = cosTable[positions[t]! * half + d]!;
      sin[tiled(t, d, half)] = sinTable[positions[t]! * half + d]!;
    }
  }
}

/** (x1 + i x2) e^(i sign angle); y may be x. */
export function rope(
  y: Float64Array,
  x: Float64Array,
  cos: Float64Array,
  sin: Float64Array,
  heads: number,
  half: number,
  sign: number,
  begin: number,
  end: number,
): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let h = 0; h < heads; h++) {
      for (let d = 0; d < half; d++) {
        const at1 = tiled(t, h * 2 * half + d, heads * 2 * half);
        const at2 = tiled(t, h * 2 * half + half + d, heads * 2 * half);
        const [x1, x2, c, s] = [x[at1]!, x[at2]!, cos[tiled(t, d, half)]!, sign * sin[tiled(t, d, half)]!];
        y[at1] = x1 * c - x2 * s;
        y[at2] = x2 * c + x1 * s;
      }
    }
  }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export function swiglu(y: Float64Array, gate: Float64Array, up: Float64Array, F: number, _scratch: null, begin: number, end: number): void {
  for (let i = begin * F * TILE; i < end * F * TILE; i++) y[i] = gate[i]! * sigmoid(gate[i]!) * up[i]!;
}

/** silu'(g) = s (1 + g (1 - s)), s = sigmoid(g). dGate and dUp may be gate and up. */
export function swigluBackward(
  dGate: Float64Array,
  dUp: Float64Array,
  dy: Float64Array,
  gate: Float64Array,
  up: Float64Array,
  F: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  for (let i = begin * F * TILE; i < end * F * TILE; i++) {
    const [d, g, u] = [dy[i]!, gate[i]!, up[i]!];
    const s = sigmoid(g);
    dGate[i] = d * u * s * (1 + g * (1 - s));
    dUp[i] = d * g * s;
  }
}
