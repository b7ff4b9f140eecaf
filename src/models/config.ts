/** config.json of a Hugging Face Llama, checked: what is not supported is named and refused, never guessed. */
import { FormatError, UnsupportedError, explain, shown } from '../core/errors.ts';

/** Llama 3's scaling of rotary frequencies (`rope_type: llama3`). */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  readonly originalPositions: number;
}

export interface LlamaConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: Llama3Scaling | undefined;
  readonly tied: boolean;
  readonly eosIds: readonly number[];
  /** config.json as it was, for saving. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Reads a parsed config.json. `where` names the file in messages. Throws UnsupportedError or FormatError. */
export function parseConfig(json: unknown, where: string): LlamaConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new FormatError(explain(where, 'a JSON object', typeof json));
  const c = json as Record<string, unknown>;
  refuse(where, 'model_type', c['model_type'], 'llama', c['model_type'] === 'llama');
  refuse(where, 'hidden_act', c['hidden_act'], 'silu', (c['hidden_act'] ?? 'silu') === 'silu');
  for (const name of ['attention_bias', 'mlp_bias']) refuse(where, name, c[name], 'false', !c[name]);
  refuse(where, 'quantization_config', 'a quantized model', 'none', !c['quantization_config']);
  const whole = (name: string, fallback?: number): number => {
    const value = c[name] ?? fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw new FormatError(explain(`${where}: ${name}`, 'a positive whole number', shown(value)));
  };
  const hiddenSize = whole('hidden_size');
  const heads = whole('num_attention_heads');
  const kvHeads = whole('num_key_value_heads', heads);
  const headDim = whole('head_dim', hiddenSize / heads);
  if (heads % kvHeads) throw new FormatError(explain(`${where}: num_key_value_heads`, `a divisor of ${heads} heads`, `${kvHeads}`));
  if (headDim % 2) throw new UnsupportedError(explain(`${where}: head_dim`, 'an even number (rotary pairs)', `${headDim}`));
  const rope = ropeOf(c, where);
  const eos = c['eos_token_id'];
  return {
    hiddenSize,
    intermediateSize: whole('intermediate_size'),
    layers: whole('num_hidden_layers'),
    heads,
    kvHeads,
    headDim,
    vocabSize: whole('vocab_size'),
    maxPositions: whole('max_position_embeddings', 2048),
    rmsNormEps: positive(c['rms_norm_eps'] ?? 1e-6, `${where}: rms_norm_eps`),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    tied: c['tie_word_embeddings'] === true,
    eosIds: (Array.isArray(eos) ? eos : [eos]).filter((id): id is number => typeof id === 'number'),
    json: c,
  };
}

/** `rope_theta` and `rope_scaling`, or transformers 5's `rope_parameters` that holds both. */
function ropeOf(c: Record<string, unknown>, where: string): { theta: number; scaling: Llama3Scaling | undefined } {
  const parameters = (c['rope_parameters'] ?? c['rope_scaling'] ?? {}) as Record<string, unknown>;
  const theta = positive(parameters['rope_theta'] ?? c['rope_theta'] ?? 10000, `${where}: rope_theta`);
  const type = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  if (type === 'default') return { theta, scaling: undefined };
  refuse(where, 'rope_scaling type', type, 'llama3 or none', type === 'llama3');
  const field = (name: string): number => positive(parameters[name], `${where}: rope_scaling.${name}`);
  return {
    theta,
    scaling: {
      factor: field('factor'),
      lowFreqFactor: field('low_freq_factor'),
      highFreqFactor: field('high_freq_factor'),
      originalPositions: field('original_max_position_embeddings'),
    },
  };
}

function positive(value: unknown, what: string): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw new FormatError(explain(what, 'a positive number', shown(value)));
}

function refuse(where: string, name: string, got: unknown, expected: string, supported: boolean): void {
  if (!supported) throw new UnsupportedError(explain(`${where}: ${name}`, expected, shown(got), 'This package runs Llama models only.'));
}
