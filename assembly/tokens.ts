// Moving single tokens between tiled buffers [tiles][K][16]: for the head, which sees labelled tokens only, and for the
// cache of keys and values. A slot is a token's index in its buffer; NONE means that there is nothing to move.
import { FEATURE_SHIFT, TILE } from './lanes';

const NONE: u32 = 0xffffffff;

@inline
function tokenAt(x: usize, slot: usize, K: usize): usize {
  return x + ((slot / TILE) * K << FEATURE_SHIFT) + ((slot % TILE) << 2);
}

/** y[token] = x[slots[token]], or 0 for NONE, for tiles [begin, end) of y. */
export function gatherTokens(y: usize, x: usize, slots: usize, K: usize, begin: usize, end: usize): void {
  for (let token = begin * TILE; token < end * TILE; token++) {
    const slot = load<u32>(slots + (token << 2)), o = tokenAt(y, token, K);
    if (slot == NONE) {
      for (let k: usize = 0; k < K; k++) store<f32>(o + (k << FEATURE_SHIFT), 0);
    } else {
      const p = tokenAt(x, slot, K);
      for (let k: usize = 0; k < K; k++) store<f32>(o + (k << FEATURE_SHIFT), load<f32>(p + (k << FEATURE_SHIFT)));
    }
  }
}

/** cache[slots[token]] = x[token] except for NONE, for tiles [begin, end) of x. Slots differ. */
export function storeTokens(cache: usize, x: usize, slots: usize, K: usize, begin: usize, end: usize): void {
  for (let token = begin * TILE; token < end * TILE; token++) {
    const slot = load<u32>(slots + (token << 2));
    if (slot == NONE) continue;
    const o = tokenAt(cache, slot, K), p = tokenAt(x, token, K);
    for (let k: usize = 0; k < K; k++) store<f32>(o + (k << FEATURE_SHIFT), load<f32>(p + (k << FEATURE_SHIFT)));
  }
}
