/** Trained values back into a model: the pattern stays, exactly. */
import type { WeightDtype } from '../core/dtypes.ts';
import { SMALLEST, decodeWeights, encodeWeights } from '../core/dtypes.ts';
import type { DenseWeight, PackedWeight } from '../sparse/weight.ts';
import type { LlamaModel } from './model.ts';

/**
 * Encodes new values of a weight, in the order of its format. A kept value that is, or rounds to, zero becomes the
 * smallest number of its element type: in a checkpoint a zero means pruned, and the mask must survive the file. A dense
 * weight has zeros that stay: its padding's, and those that it came with.
 */
export function encodeKept<W extends PackedWeight>(weight: W, values: Float32Array, dtype: WeightDtype): W {
  const encoded = encodeWeights(dtype, values);
  const mayBeZero = (i: number): boolean => weight.format === 'dense' && isZero(weight.dtype, weight.values[i]!);
  for (let i = 0; i < encoded.length; i++) if (isZero(dtype, encoded[i]!) && !mayBeZero(i)) encoded[i] = smallest(dtype);
  return { ...weight, dtype, values: encoded };
}

function isZero(dtype: WeightDtype, element: number): boolean {
  return dtype === 'F32' ? element === 0 : (element & 0x7fff) === 0;
}

/** The bits, or for F32 the number, of the smallest number above zero. */
export function smallest(dtype: WeightDtype): number {
  return dtype === 'F32' ? SMALLEST.F32 : 1;
}

/** The same model with other values; what is not given stays as it is. */
export function withValues(
  model: LlamaModel,
  values: {
    linears?: ReadonlyMap<string, PackedWeight>;
    gains?: LlamaModel['gains'];
    embedding?: DenseWeight;
    head?: DenseWeight | undefined;
  },
): LlamaModel {
  return { ...model, ...values, linears: new Map([...model.linears, ...(values.linears ?? [])]) };
}

/** A model with every tensor in one element type. */
export function castModel(model: LlamaModel, dtype: WeightDtype): LlamaModel {
  const cast = <W extends PackedWeight>(w: W): W => (w.dtype === dtype ? w : encodeKept(w, decodeWeights(w.dtype, w.values), dtype));
  return {
    ...model,
    linears: new Map([...model.linears].map(([name, w]) => [name, cast(w)])),
    gains: new Map([...model.gains].map(([name, { values }]) => [name, { dtype, values }])),
    embedding: cast(model.embedding),
    head: model.head && cast(model.head),
  };
}

/** config.json of a model whose tensors are in one element type, or in their own. */
export function configOf({ config }: LlamaModel, dtype?: WeightDtype): Readonly<Record<string, unknown>> {
  const names = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;
  return dtype ? { ...config.json, torch_dtype: names[dtype] } : config.json;
}
