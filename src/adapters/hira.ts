/**
 * HiRA (Huang et al., ICLR 2025; in PEFT): W~ = W * (1 + s up down), elementwise. The update has a high rank, and zeros
 * stay zero by construction. PEFT has no scaling here; s is part of `up` in its files.
 *
 *   G = (dY X') * W on the pattern,  dUp = s G down',  dDown = s up' G
 */
import type { ProgramBuilder } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import { MergedLinear } from './mergedLinear.ts';
import type { AdapterRule } from './rule.ts';

export class HiraLinear extends MergedLinear {
  merged(b: ProgramBuilder): Value {
    const { up, downT, padded, scaling } = this.factors;
    return this.ops.modulated(b, up.value, downT.value, padded, scaling);
  }

  protected gradients(b: ProgramBuilder, dy: Value, x: Value): void {
    const { up, downT, padded, scaling } = this.factors;
    const g = this.ops.sampledTimesValues(b, dy, x);
    this.ops.factorGradients(b, up.gradient, downT.gradient, g, up.value, downT.value, padded, scaling);
  }
}

export const HIRA: AdapterRule = {
  keepsZeros: true,
  formula: 'W * (1 + scaling * (up @ down))',
  peftType: 'HIRA',
  upShape: 'rank',
  gradients: ['exact'],
  merges: true,
  noGradientInit: 'the update is that product times the weight',
  linear: (name, ops, factors, { merge }) => new HiraLinear(name, ops, factors, merge),
};
