/**
 * Adapters as PEFT names them (huggingface.co/docs/peft, "checkpoint format"), as tensors and JSON. No files are touched here. PEFT's lora_A [rank, in] is `down` here, its lora_B [out, rank] is `up`; hira_A and hira_B are HiRA's.
 *
 * A masked update is not plain LoRA: PEFT would add it to the zeros too. So adapters that PEFT has no method for keep
 * LoRA's tensor names but say their own rule, and a peft_type that PEFT does not know: it refuses them instead of filling
 * the zeros.
 */
import type { Adapter, AdapterConfig } from '../adapters/adapter.ts';
import { scalingOf } from '../adapters/adapter.ts';
import type { AdapterModule } from '../adapters/factors.ts';
import { upColumns } from '../adapters/factors.ts';
import type { AdapterMethod } from '../adapters/methods.ts';
import { ADAPTER_METHODS, ruleOf } from '../adapters/methods.ts';
import type { PeftType } from '../adapters/rule.ts';
import type { WeightDtype } from '../core/dtypes.ts';
import { DTYPE_BYTES, decodeWeights } from '../core/dtypes.ts';
import { FormatError, UnsupportedError, explain, shown } from '../core/errors.ts';
import type { Safetensors, TensorToWrite } from './safetensorsFormat.ts';

/** What PEFT calls the files. */
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const ADAPTER_CONFIG = 'adapter_config.json';

const PREFIX = 'base_model.model.';

/** What PEFT calls the tensors of a type, after the module's name: its LoRA has layers, its HiRA has bare parameters. */
const LORA_NAMES = { down: 'lora_A.weight', up: 'lora_B.weight' } as const;
const TENSORS = { LORA: LORA_NAMES, LORS: LORA_NAMES, HIRA: { down: 'hira_A', up: 'hira_B' } } as const satisfies Record<PeftType, object>;

/** Fields that must be unused for an adapter to be what it is taken for; `bias` must be "none". */
const UNUSED = ['use_dora', 'fan_in_fan_out', 'modules_to_save', 'rank_pattern', 'alpha_pattern', 'r_pattern', 'bias'] as const;

/** The factors of an adapter, to be written. */
export function adapterTensors({ config, modules }: Adapter): TensorToWrite[] {
  const bytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const { peftType, upShape } = ruleOf(config.method);
  const names = TENSORS[peftType];
  return [...modules].flatMap(([name, { rank, inFeatures, outFeatures, down, up }]) => [
    { name: `${PREFIX}${name}.${names.down}`, dtype: 'F32', shape: [rank, inFeatures], data: bytes(down) },
    {
      name: `${PREFIX}${name}.${names.up}`,
      dtype: 'F32',
      shape: [outFeatures, upColumns(upShape, rank)],
      data: bytes(peftType === 'HIRA' ? scaled(up, scalingOf(config.alpha, rank, config.rslora)) : up),
    },
  ]);
}

/** PEFT's HiRA has no scaling: it is part of `up` in its files. */
function scaled(up: Float32Array, scaling: number): Float32Array {
  return scaling === 1 ? up : up.map((x) => x * scaling);
}

/** adapter_config.json */
export function adapterConfigJson(config: AdapterConfig): Record<string, unknown> {
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
  const { method, patternFingerprint } = config;
  return {
    ...common,
    lora_alpha: config.alpha,
    use_rslora: config.rslora,
    lora_dropout: 0,
    bias: 'none',
    init_lora_weights: true,
    rank_pattern: {},
    alpha_pattern: {},
    use_dora: false,
    ...(peftType === 'LORS' && {
      lors: { format_version: 1, method, rule: ruleOf(method).formula, pattern_fingerprint: patternFingerprint },
    }),
  };
}

/**
 * An adapter from its two files: one of ours, or LoRA or HiRA from PEFT.
 * @param directory for messages
 * @throws {FormatError}
 * @throws {UnsupportedError}
 */
export function parseAdapter(directory: string, json: Readonly<Record<string, unknown>>, file: Safetensors): Adapter {
  const config = readConfig(json, `${directory}: ${ADAPTER_CONFIG}`);
  const names = TENSORS[ruleOf(config.method).peftType];
  // Files of PEFT's early versions say the adapter's name, `default`, in each tensor's.
  const keys = new Map([...file.tensors.keys()].map((key) => [key.replace(/\.default(?=\.|$)/, ''), key]));
  const modules = new Map<string, AdapterModule>();
  for (const name of keys.keys()) {
    const last = [names.down, names.up].find((suffix) => name.startsWith(PREFIX) && name.endsWith(`.${suffix}`));
    if (!last)
      throw new UnsupportedError(
        explain(`${directory}: ${name}`, `tensors named ${PREFIX}<module>.${names.down} or .${names.up}`, 'another name'),
      );
    const module = name.slice(PREFIX.length, -last.length - 1);
    const key = (suffix: string): string => {
      const found = keys.get(`${PREFIX}${module}.${suffix}`);
      if (found !== undefined) return found;
      throw new FormatError(explain(`${directory}: ${module}`, `${short(suffix)} beside ${short(last)}`, `no ${short(suffix)}`));
    };
    if (!modules.has(module)) modules.set(module, readModule(file, directory, module, key(names.down), key(names.up), config));
  }
  if (modules.size === 0) throw new FormatError(explain(`${directory}: ${ADAPTER_WEIGHTS}`, 'factors of at least one module', 'none'));
  return { config, modules };
}

function short(suffix: string): string {
  return suffix.replace('.weight', '');
}

function readConfig(json: Readonly<Record<string, unknown>>, path: string): AdapterConfig {
  const type = json['peft_type'];
  if (type !== 'LORA' && type !== 'HIRA' && type !== 'LORS')
    throw new UnsupportedError(explain(`${path}: peft_type`, 'LORA, HIRA or LORS', shown(type)));
  for (const name of UNUSED) {
    const value = json[name];
    if (name === 'bias' ? (value ?? 'none') !== 'none' : !isUnused(value))
      throw new UnsupportedError(explain(`${path}: ${name}`, 'it unused', JSON.stringify(value)));
  }
  const rule = (json['lors'] ?? {}) as Record<string, unknown>;
  const method = type === 'LORS' ? (rule['method'] as AdapterMethod) : ADAPTER_METHODS.find((m) => ruleOf(m).peftType === type)!;
  const known = ADAPTER_METHODS.filter((m) => ruleOf(m).peftType === type);
  if (!known.includes(method)) throw new UnsupportedError(explain(`${path}: lors.method`, known.join(', '), JSON.stringify(method)));
  const rank = json['r'];
  // HiRA's scaling is 1.
  const alpha = type === 'HIRA' ? rank : json['lora_alpha'];
  if (typeof rank !== 'number' || !Number.isInteger(rank) || rank < 1)
    throw new FormatError(explain(`${path}: r`, 'a rank of at least 1', JSON.stringify(rank)));
  if (typeof alpha !== 'number') throw new FormatError(explain(`${path}: lora_alpha`, 'a number', JSON.stringify(alpha)));
  const targets = json['target_modules'];
  const fingerprint = rule['pattern_fingerprint'];
  return {
    method,
    rank,
    alpha,
    rslora: json['use_rslora'] === true,
    targetModules: Array.isArray(targets) ? targets.map(String) : [],
    baseModel: typeof json['base_model_name_or_path'] === 'string' ? json['base_model_name_or_path'] : '',
    ...(typeof fingerprint === 'string' && { patternFingerprint: fingerprint }),
  };
}

function isUnused(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}

function readModule(
  file: Safetensors,
  directory: string,
  module: string,
  downName: string,
  upName: string,
  { method, rank }: AdapterConfig,
): AdapterModule {
  const { peftType, upShape } = ruleOf(method);
  const [down, up] = [file.tensors.get(downName)!.shape, file.tensors.get(upName)!.shape];
  const [rows, inFeatures] = down;
  const [outFeatures, columns] = up;
  const wanted = upColumns(upShape, rank);
  if (
    down.length !== 2 ||
    up.length !== 2 ||
    rows !== rank ||
    columns !== wanted ||
    inFeatures === undefined ||
    outFeatures === undefined
  ) {
    const names = TENSORS[peftType];
    throw new FormatError(
      explain(
        `${directory}: ${module}`,
        `${short(names.down)} [${rank}, in] and ${short(names.up)} [out, ${wanted}]`,
        `[${down.join(', ')}] and [${up.join(', ')}]`,
      ),
    );
  }
  return { rank, inFeatures, outFeatures, down: floats(file, directory, downName), up: floats(file, directory, upName) };
}

function floats(file: Safetensors, directory: string, name: string): Float32Array {
  const dtype = file.tensors.get(name)!.dtype as WeightDtype;
  if (!(dtype in DTYPE_BYTES)) throw new UnsupportedError(explain(`${directory}: ${name}`, 'F32, F16 or BF16', dtype));
  const bytes = file.read(name);
  const elements = dtype === 'F32' ? new Float32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
  const values = decodeWeights(dtype, elements);
  const bad = values.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) throw new FormatError(explain(`${directory}: ${name}`, 'finite numbers', `NaN or infinity at element ${bad}`));
  return values;
}
