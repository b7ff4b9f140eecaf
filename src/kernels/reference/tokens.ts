/** Oracles of what begins and ends a model: embedding, loss, and the moves of single tokens. */
import { TILE } from '../table.ts';
import type { Packed } from './layout.ts';
import { paneled, sum, tiled, weightAt } from './layout.ts';

const NONE = 0xffffffff;

/** loss = log sum_v exp(z_v) - z_label, 0 without a label. */
export function crossEntropy(
  loss: Float64Array,
  logits: Float64Array,
  labels: Int32Array,
  V: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    loss[t] = labels[t]! < 0 ? 0 : logSumExp(logits, t, V) - logits[tiled(t, labels[t]!, V)]!;
  }
}

/** The loss, and in place of the logits dz_v = (softmax(z)_v - [v = label]) scale, 0 without a label. */
export function crossEntropyBackward(
  loss: Float64Array,
  logits: Float64Array,
  labels: Int32Array,
  scale: Float64Array,
  V: number,
  _scratch: null,
  begin: number,
  end: number,
): void {
  crossEntropy(loss, logits, labels, V, null, begin, end);
  for (let t = begin * TILE; t < end * TILE; t++) {
    const total = logSumExp(logits, t, V);
    for (let v = 0; v < V; v++) {
      const p = Math.exp(logits[tiled(t, v, V)]! - total);
      logits[tiled(t, v, V)] = labels[t]! < 0 ? 0 : (p - (v === labels[t] ? 1 : 0)) * scale[0]!;
    }
  }
}

function logSumExp(logits: Float64Array, t: number, V: number): number {
  let m = -Infinity;
  for (let v = 0; v < V; v++) m = Math.max(m, logits[tiled(t, v, V)]!);
  return m + Math.log(sum(V, (v) => Math.exp(logits[tiled(t, v, V)]! - m)));
}

/** x = table[ids], for tiles. */
export function embed(x: Float64Array, table: Packed, dtype: number, ids: Uint32Array, K: number, begin: number, end: number): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let k = 0; k < K; k++) x[tiled(t, k, K)] = weightAt(table, paneled(ids[t]!, k, K), dtype);
  }
}

/** dTable[ids] += dx over the first `tokens` tokens, for features. */
export function embedGrad(
  dTable: Float64Array,
  dx: Float64Array,
  ids: Uint32Array,
  K: number,
  tokens: number,
  begin: number,
  end: number,
): void {
  for (let t = 0; t < tokens; t++) {
    for (let k = begin; k < end; k++) dTable[paneled(ids[t]!, k, K)]! += dx[tiled(t, k, K)]!;
  }
}

/** y[t] = x[slots[t]], or 0. */
export function gatherTokens(y: Float64Array, x: Float64Array, slots: Uint32Array, K: number, begin: number, end: number): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let k = 0; k < K; k++) y[tiled(t, k, K)] = slots[t] === NONE ? 0 : x[tiled(slots[t]!, k, K)]!;
  }
}

/** cache[slots[t]] = x[t]. */
export function storeTokens(cache: Float64Array, x: Float64Array, slots: Uint32Array, K: number, begin: number, end: number): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let k = 0; k < K && slots[t] !== NONE; k++) cache[tiled(slots[t]!, k, K)] = x[tiled(t, k, K)]!;
  }
}
