/** Oracles of the skinny products with a factor [N][r]. */
import { TILE } from '../table.ts';
import { dotFeature, feature, sum, tiled } from './layout.ts';

/** Z = s factor' X, for tiles. */
export function project(
  z: Float64Array,
  x: Float64Array,
  factor: Float64Array,
  N: number,
  rank: number,
  scaling: number,
  begin: number,
  end: number,
): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let k = 0; k < rank; k++) z[tiled(t, k, rank)] = scaling * sum(N, (i) => factor[i * rank + k]! * x[tiled(t, i, N)]!);
  }
}

/** Y += factor Z, for tiles. */
export function expand(y: Float64Array, z: Float64Array, factor: Float64Array, N: number, rank: number, begin: number, end: number): void {
  for (let t = begin * TILE; t < end * TILE; t++) {
    for (let i = 0; i < N; i++) y[tiled(t, i, N)]! += sum(rank, (k) => factor[i * rank + k]! * z[tiled(t, k, rank)]!);
  }
}

/** dFactor += s dY Z', for rows of the factor. */
export function factorGrad(
  dFactor: Float64Array,
  dy: Float64Array,
  z: Float64Array,
  N: number,
  rank: number,
  scaling: number,
  tiles: number,
  begin: number,
  end: number,
): void {
  for (let i = begin; i < end; i++) {
    for (let k = 0; k < rank; k++)
      dFactor[i * rank + k]! += scaling * sum(tiles, (t) => dotFeature(dy, feature(t, i, N), z, feature(t, k, rank)));
  }
}

/** gated = factor with each rank times its gate, for rows of the factor. */
export function gateRanks(gated: Float64Array, factor: Float64Array, gate: Float64Array, rank: number, begin: number, end: number): void {
  for (let i = begin; i < end; i++) for (let k = 0; k < rank; k++) gated[i * rank + k] = factor[i * rank + k]! * gate[k]!;
}
