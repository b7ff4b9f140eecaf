/**
 * The damped pseudo-inverses that the scaled gradient pulls the sampled one back through. A step along dUp = H down' moves
 * up down by H down' down: far where down is long, hardly where it is short. Through down+ = down' (down down')^-1 it moves
 * as far whichever way the product is split into its factors (ScaledGD, Tong, Ma & Chi, JMLR 2021; for LoRA: Zhang & Pilanci,
 * arXiv 2402.02347). Each keeps the size of its factor (assembly/pseudoInverse.ts), so that learning rates stay what they were.
 */
import type { ProgramBuilder } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import type { Factors } from './factors.ts';

/** What the gradient of one factor goes through: the other, or its pseudo-inverse. Layouts are those of the factors. */
export interface Pullback {
  readonly up: Ref;
  readonly downT: Ref;
}

/** Of the mean eigenvalue. Of 1, 0.1 and 0.01 the last was best (bench/README.md); it also bounds what f32 loses by inverting. */
export const DAMPING = 0.01;

/** Both factors' damped pseudo-inverses, as scratch. */
export function emitPseudoInverses(b: ProgramBuilder, factors: Factors): Pullback {
  const { up, downT, inFeatures, outFeatures } = factors;
  return {
    up: emitPseudoInverse(b, factors, 'up', up.value, outFeatures),
    downT: emitPseudoInverse(b, factors, 'down', downT.value, inFeatures),
  };
}

function emitPseudoInverse(b: ProgramBuilder, { rank: ranks, padded: rank }: Factors, name: string, factor: Ref, N: number): Value {
  const p = b.scratch(`${name} inverse Gram`, rank * rank * 4);
  const work = b.scratch(`${name} Gram`, rank * rank * 8);
  const q = b.scratch(`${name} pseudo-inverse`, N * rank * 4);
  b.emit('inverseGram', 1, { p, work, factor, N, rank, ranks, damping: DAMPING });
  b.emit('timesSquare', N, { q, factor, p, rank });
  return q;
}
