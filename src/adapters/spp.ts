/**
 * SPP (arXiv 2405.16057, ICML 2024): W~ = W * (1 + s R(P) * q), P [r, in] (`down`), q [out, 1] (`up`); R repeats each
 * row of P for out / r rows. Zeros stay zero by construction.
 *
 *   G = (dY X') * W on the pattern,  dq_i = s sum_j G_ij P_kj,  dP_kj = s sum_i q_i G_ij over the rows i that k serves
 *
 * Its repositories add the update as a product of its own beside W x; merged first, it is one product less.
 *
 * R(P) * q is a product of rank r: q spread to [out, r], each row at its own rank, times P. So SPP is HiRA with this `up`,
 * and has its kernels for every format: r multiply-adds a kept weight where one would do, beside the hundreds of the
 * products with the tokens.
 */
import { explain } from '../core/errors.ts';
import { CHUNK } from '../kernels/table.ts';
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import { MergedLinear } from './mergedLinear.ts';
import type { AdapterRule } from './rule.ts';

export class SppLinear extends MergedLinear {
  merged(b: ProgramBuilder): Value {
    const { downT, padded, scaling } = this.factors;
    return this.ops.modulated(b, this.#spread(b), downT.value, padded, scaling);
  }

  protected gradients(b: ProgramBuilder, dy: Value, x: Value): void {
    const { up, downT, padded, scaling } = this.factors;
    const g = this.ops.sampledTimesValues(b, dy, x);
    const chunks = Math.ceil((this.outFeatures * padded) / CHUNK);
    const dUp = b.scratch('spread gradient', chunks * CHUNK * 4);
    b.emit('clear', chunks, { x: dUp });
    this.ops.factorGradients(b, dUp, downT.gradient, g, this.#spread(b), downT.value, padded, scaling);
    b.emit('gatherRows', this.outFeatures, { dq: up.gradient, dUp, rank: padded, repeats: this.#repeats });
  }

  #spread(b: ProgramBuilder): Value {
    const { up, padded } = this.factors;
    const spread = b.scratch('spread q', this.outFeatures * padded * 4);
    b.emit('spreadRows', this.outFeatures, { up: spread, q: up.value, rank: padded, repeats: this.#repeats });
    return spread;
  }

  /** The rows of W that a row of P serves. */
  get #repeats(): number {
    return this.outFeatures / this.factors.rank;
  }
}

export const SPP: AdapterRule = {
  keepsZeros: true,
  formula: 'W * (1 + scaling * up * repeat(down, out / r))',
  peftType: 'LORS',
  upShape: 'one',
  gradients: ['exact'],
  merges: true,
  noGradientInit: 'the update is one row of down times the weight',
  check: (name, rows, _cols, rank) => {
    if (rows % rank === 0) return;
    let fits = rank;
    while (rows % fits !== 0) fits--;
    throw new RangeError(
      explain('--rank', `a divisor of the ${rows} outputs of ${name} with --method spp`, `${rank}`, `The largest below it is ${fits}.`),
    );
  },
  linear: (name, ops, factors, { merge }) => new SppLinear(name, ops, factors, merge),
};
