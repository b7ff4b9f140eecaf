/** Adapters from and to bytes, under PEFT's names. */
import type { Adapter } from '../adapters/adapter.ts';
import { adapterConfigJson, adapterTensors } from '../io/adapterFormat.ts';
import { encodeSafetensors, parseSafetensors } from '../io/safetensorsFormat.ts';
import type { BytesSource, JsonSource } from './bytes.ts';
import { readBytes, readJsonSource } from './bytes.ts';

/** The two files of an adapter. */
export interface AdapterFiles {
  /** For messages; `adapter` when absent. */
  readonly name?: string;
  /** adapter_config.json */
  readonly config: JsonSource;
  /** adapter_model.safetensors */
  readonly weights: BytesSource;
}

/** An adapter as bytes: what `AdapterFiles` takes. */
export interface AdapterBytes {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Uint8Array<ArrayBuffer>;
}

/** Reads an adapter: one of ours, or LoRA or HiRA from PEFT. Throws FormatError or UnsupportedError. */
export async function loadAdapter(files: AdapterFiles): Promise<Adapter> {
  const name = files.name ?? 'adapter';
  const config = await readJsonSource(files.config, `${name}: adapter_config.json`);
  const weights = parseSafetensors(
    await readBytes(files.weights, `${name}: adapter_model.safetensors`),
    `${name}: adapter_model.safetensors`,
  );
  const { parseAdapter } = await import('../io/adapterReading.ts');
  return parseAdapter(name, config, weights);
}

/** An adapter as its two files. */
export function saveAdapter(adapter: Adapter): AdapterBytes {
  return { config: adapterConfigJson(adapter), weights: encodeSafetensors(adapterTensors(adapter), { format: 'pt' }) };
}
