/** Between the row-major matrices that people have, [tokens, features], and the tiles that kernels read. */
import { TILE } from '../kernels/table.ts';

/** [tokens, features] -> [tiles][features][16]; lanes beyond the tokens are 0. */
export function toTiles(x: Float32Array, tokens: number, features: number): Float32Array {
  const out = new Float32Array(Math.ceil(tokens / TILE) * features * TILE);
  for (let t = 0; t < tokens; t++) {
    const at = Math.floor(t / TILE) * features * TILE + (t % TILE);
    for (let f = 0; f < features; f++) out[at + f * TILE] = x[t * features + f]!;
  }
  return out;
}

/** [tiles][features][16] -> [tokens, features]. */
export function fromTiles(tiled: Float32Array, tokens: number, features: number): Float32Array {
  const out = new Float32Array(tokens * features);
  for (let t = 0; t < tokens; t++) {
    const at = Math.floor(t / TILE) * features * TILE + (t % TILE);
    for (let f = 0; f < features; f++) out[t * features + f] = tiled[at + f * TILE]!;
  }
  return out;
}
