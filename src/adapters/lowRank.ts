/** The reordered factor gradients that LoRS and LoRA share: tokens x (in + out) x rank, never tokens x in x out. */
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Factors } from './factors.ts';

/** dUp += s dY Z', Z = down X;  dDownT += X U', U = s up' dY. Returns U, which LoRA's dx needs too. */
export function emitFactorGradients(
  b: ProgramBuilder,
  factors: Factors,
  dy: Value,
  x: Value,
  outFeatures: number,
  inFeatures: number,
): Value {
  const { up, downT, padded: rank, scaling } = factors;
  const z = b.activation('down x', rank);
  const u = b.activation("up' dy", rank);
  b.emit('project', perTile(), { z, x, factor: downT.value, N: inFeatures, rank, scaling: 1 });
  b.emit('factorGrad', outFeatures, { dFactor: up.gradient, dy, z, N: outFeatures, rank, scaling });
  b.emit('project', perTile(), { z: u, x: dy, factor: up.value, N: outFeatures, rank, scaling });
  b.emit('factorGrad', inFeatures, { dFactor: downT.gradient, dy: x, z: u, N: inFeatures, rank, scaling: 1 });
  return u;
}
