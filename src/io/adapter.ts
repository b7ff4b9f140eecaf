/** Adapters from and to directories: adapter_model.safetensors and adapter_config.json. */
import { join } from 'node:path';
import type { Adapter } from '../adapters/adapter.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapterConfigJson, adapterTensors } from './adapterFormat.ts';
import { parseAdapter } from './adapterReading.ts';
import { writeFileAtomic } from './atomic.ts';
import { readJsonObject } from './json.ts';
import { openSafetensors, writeSafetensors } from './safetensors.ts';

/** Writes an adapter into a directory that exists. Throws OutputError. */
export function saveAdapter(directory: string, adapter: Adapter): void {
  writeSafetensors(join(directory, ADAPTER_WEIGHTS), adapterTensors(adapter), { format: 'pt' });
  writeFileAtomic(join(directory, ADAPTER_CONFIG), [`${JSON.stringify(adapterConfigJson(adapter), null, 2)}\n`]);
}

/** Reads an adapter: one of ours, or LoRA or HiRA from PEFT. Throws FormatError or UnsupportedError. */
export function loadAdapter(directory: string): Adapter {
  const config = readJsonObject(join(directory, ADAPTER_CONFIG));
  return parseAdapter(directory, config, openSafetensors(join(directory, ADAPTER_WEIGHTS)));
}
