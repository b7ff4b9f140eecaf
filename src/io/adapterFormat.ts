/**
 * Adapters as PEFT names them (huggingface.co/docs/peft, "checkpoint format"), as tensors and JSON. No files are
 * touched here. PEFT's lora_A [rank, in] is `down` here, its lora_B [out, rank] is `up`; hira_A and hira_B are HiRA's.
 *
 * A masked update is not plain LoRA: PEFT would add it to the zeros too. So adapters that PEFT has no method for keep
 * LoRA's tensor names but say their own rule, and a peft_type that PEFT does not know: it refuses them instead of filling
 * the zeros.
 */
import type { Adapter, AdapterConfig } from '../adapters/adapter.ts';
import { scalingOf } from '../adapters/adapter.ts';
import { upColumns } from '../adapters/factors.ts';
import { ruleOf } from '../adapters/methods.ts';
import type { PeftType } from '../adapters/rule.ts';
import { bytesOf } from '../core/constant.ts';
import { gridJson, gridTensors } from './gridFormat.ts';
import type { TensorToWrite } from './safetensorsFormat.ts';

/** What PEFT calls the files. */
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const ADAPTER_CONFIG = 'adapter_config.json';

export const PREFIX = 'base_model.model.';

/** What PEFT calls the tensors of a type, after the module's name: its LoRA has layers, its HiRA has bare parameters. */
const LORA_NAMES = { down: 'lora_A.weight', up: 'lora_B.weight' } as const;
export const TENSORS = { LORA: LORA_NAMES, LORS: LORA_NAMES, HIRA: { down: 'hira_A', up: 'hira_B' } } as const satisfies Record<
  PeftType,
  object
>;

/** The factors of an adapter, to be written: each is asked for when its turn comes. */
export function adapterTensors({ config, modules }: Adapter): TensorToWrite[] {
  const { peftType, upShape } = ruleOf(config.method);
  const names = TENSORS[peftType];
  return [...modules].flatMap(([name, module]): TensorToWrite[] => {
    const { rank, inFeatures, outFeatures, grid } = module;
    const up = (): Float32Array => (peftType === 'HIRA' ? scaled(module.up, scalingOf(config.alpha, rank, config.rslora)) : module.up);
    return [
      { name: `${PREFIX}${name}.${names.down}`, dtype: 'F32', shape: [rank, inFeatures], data: () => bytesOf(module.down) },
      { name: `${PREFIX}${name}.${names.up}`, dtype: 'F32', shape: [outFeatures, upColumns(upShape, rank)], data: () => bytesOf(up()) },
      ...(grid ? gridTensors(`${PREFIX}${name}`, grid) : []),
    ];
  });
}

/** PEFT's HiRA has no scaling: it is part of `up` in its files. */
function scaled(up: Float32Array, scaling: number): Float32Array {
  return scaling === 1 ? up : up.map((x) => x * scaling);
}

/** adapter_config.json */
export function adapterConfigJson({ config, modules }: Adapter): Record<string, unknown> {
  const { peftType } = ruleOf(config.method);
  const common = {
    peft_type: peftType,
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: config.baseModel,
    r: config.rank,
    target_modules: config.targetModules,
    fan_in_fan_out: false,
    inference_mode: true,
    modules_to_save: null,
  };
  if (peftType === 'HIRA') return { ...common, hira_dropout: 0 };
  const { method, patternFingerprint, groupSize, nls } = config;
  const fewer = [...modules].filter(([, { rank }]) => rank !== config.rank);
  return {
    ...common,
    lora_alpha: config.alpha,
    use_rslora: config.rslora,
    lora_dropout: 0,
    bias: 'none',
    init_lora_weights: true,
    rank_pattern: Object.fromEntries(fewer.map(([name, { rank }]) => [name, rank])),
    alpha_pattern: Object.fromEntries(fewer.map(([name, { rank }]) => [name, alphaOf(config, rank)])),
    use_dora: false,
    ...(peftType === 'LORS' && {
      lors: {
        format_version: 1,
        method,
        rule: groupSize === undefined ? ruleOf(method).formula : `nearest point of the grid to ${ruleOf(method).formula}`,
        pattern_fingerprint: patternFingerprint,
        ...(groupSize !== undefined && { quantization: gridJson(groupSize) }),
        ...(nls && { nls }),
      },
    }),
  };
}

/** The alpha that gives a module of another rank the adapter's scaling, which PEFT would count by the module's own rank. */
export function alphaOf({ alpha, rank: whole, rslora }: AdapterConfig, rank: number): number {
  return alpha * (rslora ? Math.sqrt(rank / whole) : rank / whole);
}
