/** Adapters from their two files, as adapterFormat.ts writes them. No files are touched here. */
import type { Adapter, AdapterConfig, ElasticRanks } from '../adapters/adapter.ts';
import type { AdapterModule } from '../adapters/factors.ts';
import { upColumns } from '../adapters/factors.ts';
import type { AdapterMethod } from '../adapters/methods.ts';
import { ADAPTER_METHODS, ruleOf } from '../adapters/methods.ts';
import type { RankSharing } from '../adapters/rule.ts';
import { RANK_SHARING } from '../adapters/rule.ts';
import type { WeightDtype } from '../core/dtypes.ts';
import { DTYPE_BYTES, decodeWeights } from '../core/dtypes.ts';
import { FormatError, UnsupportedError, explain, shown } from '../core/errors.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, PREFIX, TENSORS, alphaOf } from './adapterFormat.ts';
import { SCALE, ZERO, readGrid, readGridJson } from './gridFormat.ts';
import { isJsonObject } from './jsonObject.ts';
import type { Safetensors } from './safetensorsFormat.ts';

/** Fields that must be unused for an adapter to be what it is taken for; `bias` must be "none". */
const UNUSED = ['use_dora', 'fan_in_fan_out', 'modules_to_save', 'rank_pattern', 'alpha_pattern', 'r_pattern', 'bias'] as const;
/** Of a method whose modules may have fewer ranks than the adapter, these are used. */
const PATTERNS: readonly string[] = ['rank_pattern', 'alpha_pattern'];

/**
 * An adapter from its two files: one of ours, or LoRA or HiRA from PEFT.
 * @param directory for messages
 * @throws {FormatError}
 * @throws {UnsupportedError}
 */
export function parseAdapter(directory: string, json: Readonly<Record<string, unknown>>, file: Safetensors): Adapter {
  const path = `${directory}: ${ADAPTER_CONFIG}`;
  const config = readConfig(json, path);
  const ranks = readRanks(json, path, config);
  const names = TENSORS[ruleOf(config.method).peftType];
  // Files of PEFT's early versions say the adapter's name, `default`, in each tensor's.
  const keys = new Map([...file.tensors.keys()].map((key) => [key.replace(/\.default(?=\.|$)/, ''), key]));
  const modules = new Map<string, AdapterModule>();
  for (const name of keys.keys()) {
    if (config.groupSize !== undefined && (name.endsWith(`.${SCALE}`) || name.endsWith(`.${ZERO}`))) continue;
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
    if (!modules.has(module)) modules.set(module, readModule(file, directory, module, key(names.down), key(names.up), config, ranks));
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
  const rule = (json['lors'] ?? {}) as Record<string, unknown>;
  const method = type === 'LORS' ? (rule['method'] as AdapterMethod) : ADAPTER_METHODS.find((m) => ruleOf(m).peftType === type)!;
  const known = ADAPTER_METHODS.filter((m) => ruleOf(m).peftType === type);
  if (!known.includes(method)) throw new UnsupportedError(explain(`${path}: lors.method`, known.join(', '), JSON.stringify(method)));
  for (const name of UNUSED) {
    if (ruleOf(method).elastic && PATTERNS.includes(name)) continue;
    const value = json[name];
    if (name === 'bias' ? (value ?? 'none') !== 'none' : !isUnused(value))
      throw new UnsupportedError(explain(`${path}: ${name}`, 'it unused', JSON.stringify(value)));
  }
  const rank = json['r'];
  // HiRA's scaling is 1.
  const alpha = type === 'HIRA' ? rank : json['lora_alpha'];
  if (typeof rank !== 'number' || !Number.isInteger(rank) || rank < 1)
    throw new FormatError(explain(`${path}: r`, 'a rank of at least 1', JSON.stringify(rank)));
  if (typeof alpha !== 'number') throw new FormatError(explain(`${path}: lora_alpha`, 'a number', JSON.stringify(alpha)));
  const targets = json['target_modules'];
  const fingerprint = rule['pattern_fingerprint'];
  const { quantization, nls } = rule;
  return {
    method,
    rank,
    alpha,
    rslora: json['use_rslora'] === true,
    targetModules: Array.isArray(targets) ? targets.map(String) : [],
    baseModel: typeof json['base_model_name_or_path'] === 'string' ? json['base_model_name_or_path'] : '',
    ...(typeof fingerprint === 'string' && { patternFingerprint: fingerprint }),
    ...(isJsonObject(quantization) && { groupSize: readGridJson(quantization, `${path}: lors.quantization`) }),
    ...(isJsonObject(nls) && { nls: readNls(nls, path, rank) }),
  };
}

function readNls({ ranks, sharing }: Record<string, unknown>, path: string, rank: number): ElasticRanks {
  const whole = (n: unknown): n is number => Number.isInteger(n) && (n as number) >= 1 && (n as number) <= rank;
  if (!Array.isArray(ranks) || ranks.length === 0 || !ranks.every(whole))
    throw new FormatError(explain(`${path}: lors.nls.ranks`, `ranks of 1 to ${rank}`, JSON.stringify(ranks)));
  if (!RANK_SHARING.includes(sharing as RankSharing))
    throw new FormatError(explain(`${path}: lors.nls.sharing`, RANK_SHARING.join(' or '), JSON.stringify(sharing)));
  return { ranks, sharing: sharing as RankSharing };
}

/** The ranks of modules that have fewer than the adapter. Their alphas must say the adapter's scaling. */
function readRanks(json: Readonly<Record<string, unknown>>, path: string, config: AdapterConfig): ReadonlyMap<string, number> {
  const [ranks, alphas] = [json['rank_pattern'] ?? {}, json['alpha_pattern'] ?? {}] as [Record<string, unknown>, Record<string, unknown>];
  for (const module of new Set([...Object.keys(ranks), ...Object.keys(alphas)])) {
    const [rank, alpha] = [ranks[module], alphas[module]];
    if (!Number.isInteger(rank) || (rank as number) < 1 || (rank as number) > config.rank)
      throw new FormatError(explain(`${path}: rank_pattern: ${module}`, `a rank of 1 to ${config.rank}`, shown(rank)));
    const expected = alphaOf(config, rank as number);
    if (typeof alpha !== 'number' || Math.abs(alpha - expected) > 1e-6 * expected)
      throw new UnsupportedError(explain(`${path}: alpha_pattern: ${module}`, `${expected}, for the adapter's own scaling`, shown(alpha)));
  }
  return new Map(Object.entries(ranks as Record<string, number>));
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
  { method, rank: whole, groupSize }: AdapterConfig,
  ranks: ReadonlyMap<string, number>,
): AdapterModule {
  const rank = ranks.get(module) ?? whole;
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
  const grid = groupSize === undefined ? undefined : readGrid(file, directory, `${PREFIX}${module}`, outFeatures, inFeatures, groupSize);
  return { rank, inFeatures, outFeatures, down: floats(file, directory, downName), up: floats(file, directory, upName), grid };
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
