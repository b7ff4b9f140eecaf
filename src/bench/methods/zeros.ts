/** Do the zeros of a model outlive an adapter? */
import type { LlamaModel } from '../../models/model.ts';
import { unpack } from '../../sparse/pack.ts';
import type { PackedWeight } from '../../sparse/weight.ts';

/** The share of the base's zero weights that are zero after fusing; undefined where the base has none. */
export function zerosKept(base: LlamaModel, fused: LlamaModel): number | undefined {
  let [zeros, kept] = [0, 0];
  for (const [name, weight] of base.linears) {
    const [before, after] = [rowMajor(weight), rowMajor(fused.linears.get(name)!)];
    for (let i = 0; i < before.length; i++) {
      if (before[i] !== 0) continue;
      zeros++;
      if (after[i] === 0) kept++;
    }
  }
  return zeros === 0 ? undefined : kept / zeros;
}

/** Elements whose zeros are 0: F32 as they are, shorter ones as bits without their sign. */
function rowMajor(weight: PackedWeight): ArrayLike<number> {
  const elements = unpack(weight, weight.values);
  return weight.dtype === 'F32' ? elements : elements.map((bits) => bits & 0x7fff);
}
