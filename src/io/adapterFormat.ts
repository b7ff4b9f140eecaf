/**
 * Adapters as PEFT names them (huggingface.co/docs/peft, "checkpoint format"), as tensors and JSON. No files are touched here. PEFT's lora_A [rank, in] is `down` here, its lora_B [out, rank] is `up`.
 *
 * A masked update is not plain LoRA: PEFT would add it to the zeros too. So LoRS adapters keep the tensor names but say
 * their own rule, and a peft_type that PEFT does not know: it refuses them instead of filling the zeros.
 */
import type { Adapter, AdapterConfig, AdapterMethod, AdapterModule } from '../adapters/adapter.ts';
import { ADAPTER_METHODS } from '../adapters/adapter.ts';
import type { WeightDtype } from '../core/dtypes.ts';
import { DTYPE_BYTES, decodeWeights } from '../core/dtypes.ts';
import { FormatError, UnsupportedError, explain, shown } from '../core/errors.ts';
import type { Safetensors, TensorToWrite } from './safetensorsFormat.ts';

/** What PEFT calls the files. */
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';
export const ADAPTER_CONFIG = 'adapter_config.json';

const PREFIX = 'base_model.model.';
const RULE = 'W + scaling * mask * (up @ down)';

/** The factors of an adapter, to be written. */
export function adapterTensors({ modules }: Adapter): TensorToWrite[] {
  const bytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  return [...modules].flatMap(([name, { rank, inFeatures, outFeatures, down, up }]) => [
    { name: `${PREFIX}${name}.lora_A.weight`, dtype: 'F32', shape: [rank, inFeatures], data: bytes(down) },
    { name: `${PREFIX}${name}.lora_B.weight`, dtype: 'F32', shape: [outFeatures, rank], data: bytes(up) },
  ]);
}

/** adapter_config.json */
export function adapterConfigJson(config: AdapterConfig): Record<string, unknown> {
  const masked = config.method !== 'lora';
  return {
    peft_type: masked ? 'LORS' : 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: config.baseModel,
    r: config.rank,
    lora_alpha: config.alpha,
    use_rslora: config.rslora,
    target_modules: config.targetModules,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: null,
    rank_pattern: {},
    alpha_pattern: {},
    use_dora: false,
    ...(masked && { lors: { format_version: 1, method: config.method, rule: RULE, pattern_fingerprint: config.patternFingerprint } }),
  };
}

/**
 * An adapter from its two files: one of ours, or plain LoRA from PEFT.
 * @param directory for messages
 * @throws {FormatError}
 * @throws {UnsupportedError}
 */
export function parseAdapter(directory: string, json: Readonly<Record<string, unknown>>, file: Safetensors): Adapter {
  const config = readConfig(json, `${directory}: ${ADAPTER_CONFIG}`);
  const modules = new Map<string, AdapterModule>();
  for (const name of file.tensors.keys()) {
    const match = /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/.exec(name);
    if (!match)
      throw new UnsupportedError(
        explain(`${directory}: ${name}`, `tensors named ${PREFIX}<module>.lora_A.weight or .lora_B.weight`, 'another name'),
      );
    const [, module, letter] = match as unknown as [string, string, string];
    if (letter === 'A') modules.set(module, readModule(file, directory, module, name, config.rank));
    else if (!file.tensors.has(name.replace('lora_B', 'lora_A')))
      throw new FormatError(explain(`${directory}: ${module}`, 'lora_A beside lora_B', 'no lora_A'));
  }
  if (modules.size === 0) throw new FormatError(explain(`${directory}: ${ADAPTER_WEIGHTS}`, 'factors of at least one module', 'none'));
  return { config, modules };
}

function readConfig(json: Readonly<Record<string, unknown>>, path: string): AdapterConfig {
  const type = json['peft_type'];
  if (type !== 'LORA' && type !== 'LORS') throw new UnsupportedError(explain(`${path}: peft_type`, 'LORA or LORS', shown(type)));
  const plain: readonly (readonly [name: string, allowed: boolean])[] = [
    ['use_dora', !json['use_dora']],
    ['fan_in_fan_out', !json['fan_in_fan_out']],
    ['modules_to_save', isEmpty(json['modules_to_save'])],
    ['rank_pattern', isEmpty(json['rank_pattern'])],
    ['alpha_pattern', isEmpty(json['alpha_pattern'])],
    ['bias', (json['bias'] ?? 'none') === 'none'],
  ];
  for (const [name, allowed] of plain) {
    if (!allowed) throw new UnsupportedError(explain(`${path}: ${name}`, 'it unused', JSON.stringify(json[name])));
  }
  const rule = (json['lors'] ?? {}) as Record<string, unknown>;
  const method = (type === 'LORA' ? 'lora' : rule['method']) as AdapterMethod;
  if (!ADAPTER_METHODS.includes(method))
    throw new UnsupportedError(explain(`${path}: lors.method`, ADAPTER_METHODS.join(', '), JSON.stringify(method)));
  const rank = json['r'];
  const alpha = json['lora_alpha'];
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

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined || Object.keys(value).length === 0;
}

function readModule(file: Safetensors, directory: string, module: string, nameA: string, rank: number): AdapterModule {
  const nameB = nameA.replace('lora_A', 'lora_B');
  const a = file.tensors.get(nameA)!;
  const b = file.tensors.get(nameB);
  if (!b) throw new FormatError(explain(`${directory}: ${module}`, 'lora_B beside lora_A', 'no lora_B'));
  const [rows, inFeatures] = a.shape;
  const [outFeatures, cols] = b.shape;
  if (
    a.shape.length !== 2 ||
    b.shape.length !== 2 ||
    rows !== rank ||
    cols !== rank ||
    inFeatures === undefined ||
    outFeatures === undefined
  ) {
    throw new FormatError(
      explain(
        `${directory}: ${module}`,
        `lora_A [${rank}, in] and lora_B [out, ${rank}]`,
        `[${a.shape.join(', ')}] and [${b.shape.join(', ')}]`,
      ),
    );
  }
  return { rank, inFeatures, outFeatures, down: floats(file, directory, nameA), up: floats(file, directory, nameB) };
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
