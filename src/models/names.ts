/** Names of a Llama checkpoint's modules, as Hugging Face has them; a module's tensor is its name plus `.weight`. */
import type { RankSharing } from '../adapters/rule.ts';
import type { LlamaConfig } from './config.ts';

export const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export type Projection = (typeof PROJECTIONS)[number];

export const EMBEDDING = 'model.embed_tokens';
export const FINAL_NORM = 'model.norm';
export const HEAD = 'lm_head';

/** `model.layers.3.mlp.up_proj` */
export function projectionName(layer: number, projection: Projection): string {
  const parent = projection === 'gate_proj' || projection === 'up_proj' || projection === 'down_proj' ? 'mlp' : 'self_attn';
  return `model.layers.${layer}.${parent}.${projection}`;
}

/** `model.layers.3.input_layernorm` */
export function normName(layer: number, norm: 'input_layernorm' | 'post_attention_layernorm'): string {
  return `model.layers.${layer}.${norm}`;
}

/** [outFeatures, inFeatures] of a projection. */
export function projectionShape(config: LlamaConfig, projection: Projection): readonly [rows: number, cols: number] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = config;
  switch (projection) {
    case 'q_proj':
      return [heads * headDim, hiddenSize];
    case 'k_proj':
    case 'v_proj':
      return [kvHeads * headDim, hiddenSize];
    case 'o_proj':
      return [hiddenSize, heads * headDim];
    case 'gate_proj':
    case 'up_proj':
      return [intermediateSize, hiddenSize];
    case 'down_proj':
      return [hiddenSize, intermediateSize];
  }
}

/** Every linear module of the blocks, layer by layer. */
export function projectionNames(config: LlamaConfig): string[] {
  return Array.from({ length: config.layers }, (_, layer) => PROJECTIONS.map((p) => projectionName(layer, p))).flat();
}

/** The group that a module shares its elastic rank with: `model.layers.3`, or the module itself. */
export function rankGroup(module: string, sharing: RankSharing): string {
  return sharing === 'module' ? module : module.split('.', 3).join('.');
}
