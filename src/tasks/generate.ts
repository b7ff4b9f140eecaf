/** Text from a model directory: the job of `lors generate`. */
import { tmpdir } from 'node:os';
import type { Given, OptionTable } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { generateIds } from '../generate/generate.ts';
import { loadAdapter } from '../io/adapter.ts';
import { checkTokenizer } from '../io/tokenizerJson.ts';
import { loadModel } from '../io/model.ts';
import { StreamDecoder } from '../io/streamDecoder.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import { kernelModule } from '../io/kernelModule.ts';
import { fuseAdapter } from '../models/adapter.ts';
import { Arena } from '../runtime/arena.ts';
import { COMMON } from './commonOptions.ts';
import { openHost } from './host.ts';
import { loadModelInto } from './weights.ts';

export const GENERATE_OPTIONS = {
  model: COMMON.model,
  prompt: { kind: 'text', required: true, help: 'text to go on from' },
  adapter: { kind: 'text', help: 'adapter directory' },
  maxTokens: { kind: 'whole', default: 128, least: 1, help: 'new tokens at most' },
  temperature: { kind: 'number', default: 0.8, least: 0, help: '0 always takes the most likely token' },
  topK: { kind: 'whole', default: 0, least: 0, help: 'choose among so many tokens; 0 for all' },
  topP: { kind: 'number', default: 0.95, above: 0, help: 'choose among the most likely tokens that reach this probability; 1 for all' },
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the choice' },
  kernels: COMMON.kernels,
  threads: COMMON.threads,
  weights: COMMON.weights,
} as const satisfies OptionTable;

/** Yields the new text piece by piece, without the prompt. An adapter is merged first, in f32. Throws as loading does. */
export async function* generate(options: Given<typeof GENERATE_OPTIONS>): AsyncGenerator<string, void, void> {
  const settings = resolveOptions(GENERATE_OPTIONS, options);
  const { flavour, sessions } = openHost(settings);
  const arena = new Arena(true);
  // Where an adapter is merged, the merged weights take the place of the model's.
  const base = settings.adapter
    ? loadModel(settings.model)
    : loadModelInto(settings.model, arena, { place: settings.weights, directory: tmpdir() });
  const tokenizer = loadTokenizer(settings.model);
  checkTokenizer(base, tokenizer);
  const model =
    settings.adapter === undefined ? base : fuseAdapter(base, loadAdapter(settings.adapter), kernelModule(flavour).module, 'F32');
  const bos = tokenizer.bosId === undefined ? [] : [tokenizer.bosId];
  const prompt = [...bos, ...tokenizer.encode(settings.prompt)];
  const stopIds = [...model.config.eosIds, ...(tokenizer.eosId === undefined ? [] : [tokenizer.eosId])];
  const stream = new StreamDecoder(tokenizer, prompt);
  for await (const id of generateIds(model, prompt, { ...settings, stopIds, sessions: sessions(arena) })) {
    const text = stream.push(id);
    if (text !== '') yield text;
  }
  const rest = stream.end();
  if (rest !== '') yield rest;
}
