/** Text from a model directory: the job of `lors generate`. */
import { tmpdir } from 'node:os';
import type { Given } from '../core/options.ts';
import { resolveOptions } from '../core/options.ts';
import { generateText } from '../generate/text.ts';
import { loadAdapter } from '../io/adapter.ts';
import { checkTokenizer } from '../io/tokenizerFormat.ts';
import { loadModel } from '../io/model.ts';
import { loadTokenizer } from '../io/tokenizer.ts';
import { kernelModule } from '../io/kernelModule.ts';
import { fuseAdapter } from '../models/adapter.ts';
import { Arena } from '../runtime/arena.ts';
import { GENERATE_OPTIONS } from './generateOptions.ts';
import { openHost } from './host.ts';
import { loadModelInto } from './weights.ts';

/** Yields the new text piece by piece, without the prompt. An adapter is merged first, in f32. Throws as loading does. */
export async function* generate(options: Given<typeof GENERATE_OPTIONS>): AsyncGenerator<string, void, void> {
  const settings = resolveOptions(GENERATE_OPTIONS, options);
  const { flavour, sessions } = openHost(settings);
  const arena = new Arena(true);
  // Where an adapter is merged, in the formats that it was trained in, the merged weights take the place of the model's.
  const base = settings.adapter
    ? loadModel(settings.model, undefined, flavour)
    : loadModelInto(settings.model, arena, { place: settings.weights, packedFor: 'one token', directory: tmpdir() });
  const tokenizer = loadTokenizer(settings.model);
  checkTokenizer(base, tokenizer);
  const model =
    settings.adapter === undefined ? base : fuseAdapter(base, loadAdapter(settings.adapter), kernelModule(flavour).module, 'F32');
  yield* generateText(model, tokenizer, { ...settings, sessions: sessions(arena) });
}
