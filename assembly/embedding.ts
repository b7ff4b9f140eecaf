// Rows of the embedding table for token ids, and back. The table stands in the panels of dense.ts, so that a tied head
// multiplies by the same copy: [ceil(V / 4)][K][4].
import { FEATURE_SHIFT, TILE, weightAt } from './lanes';

/** x = table[ids], for tiles [begin, end). x: [tiles][K][16]; ids: [tiles][16] u32. */
export function embed(x: usize, table: usize, dtype: i32, ids: usize, K: usize, begin: usize, end: usize): void {
  for (let token = begin * TILE; token < end * TILE; token++) {
    const id = <usize>load<u32>(ids + (token << 2));
    let o = x + ((token / TILE) * K << FEATURE_SHIFT) + ((token % TILE) << 2);
    for (let n = ((id >> 2) * K << 2) + (id & 3), k: usize = 0; k < K; k++, n += 4, o += 64) store<f32>(o, weightAt(table, n, dtype));
  }
}

/** dTable[ids] += dx over the first `tokens` tokens, for features [begin, end). */
export function embedGrad(dTable: usize, dx: usize, ids: usize, K: usize, tokens: usize, begin: usize, end: usize): void {
  for (let token: usize = 0; token < tokens; token++) {
    const id = <usize>load<u32>(ids + (token << 2));
    const p = dx + ((token / TILE) * K << FEATURE_SHIFT) + ((token % TILE) << 2);
    const o = dTable + (((id >> 2) * K << 2) + (id & 3) << 2);
    for (let k = begin; k < end; k++) {
      store<f32>(o + (k << 4), load<f32>(o + (k << 4)) + load<f32>(p + (k << FEATURE_SHIFT)));
    }
  }
}
