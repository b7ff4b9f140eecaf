/** What the tests of the edge entry hand over: a tiny Llama as bytes, a tokenizer of characters, and rows. */
import { readFileSync } from 'node:fs';
import { encodeSafetensors } from '../../src/io/safetensorsFormat.ts';
import type { Tokenizer } from '../../src/io/tokenizerFormat.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { parseConfig } from '../../src/models/config.ts';
import { initializeModel } from '../../src/models/init.ts';
import { modelTensors } from '../../src/models/model.ts';
import type { TrainerInput } from '../../src/edge.ts';
import { loadModel, saveModel } from '../../src/edge.ts';

export const CONFIG = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 128,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
};

/** model.safetensors of the tiny Llama, by its seed. */
export function weightsOf(seed: number, config: Readonly<Record<string, unknown>> = CONFIG): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(modelTensors(initializeModel(parseConfig(config, 'tiny'), seed)));
}

/** A token is a character below 128; 0 begins a text and 1 ends it. */
export const TOKENIZER: Tokenizer = {
  name: 'characters',
  vocabSize: 128,
  bosId: 0,
  eosId: 1,
  hasChatTemplate: false,
  encode: (text) => Array.from(text, (c) => Math.min(127, c.charCodeAt(0))),
  decode: (ids) =>
    ids
      .filter((id) => id > 1)
      .map((id) => String.fromCharCode(id))
      .join(''),
  renderChat: () => '',
};

export const JSONL = [
  'the cat sat on the mat',
  'a dog ran in the fog',
  'one two three four',
  'red, green and blue',
  'where is my hat?',
  'to be or not',
]
  .map((text) => JSON.stringify({ text }))
  .join('\n');

/** A run of six updates of two batches each. */
export function tinyRun(changes: Partial<TrainerInput> = {}): TrainerInput {
  return {
    wasm: kernelModule('plain').module,
    model: { name: 'tiny', config: CONFIG, weights: weightsOf(1) },
    tokenizer: TOKENIZER,
    data: { jsonl: JSONL },
    ...changes,
    options: {
      prune: 'wanda',
      rank: 4,
      iters: 6,
      batchSize: 1,
      gradAccumulationSteps: 2,
      maxSeqLength: 32,
      learningRate: 1e-2,
      ...changes.options,
    },
  };
}

/** Bytes as a stream of pieces of odd sizes, none of which is aligned to anything. */
export function streamOf(bytes: Uint8Array, piece = 777): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, (at += piece)));
    },
  });
}

export function wasmBytes(flavour: 'plain' | 'relaxed'): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../build/${flavour}.wasm`, import.meta.url)));
}

/** The tiny Llama through `loadModel` and back to bytes. */
export async function roundTrip(weights: Parameters<typeof loadModel>[0]['weights']): Promise<Uint8Array> {
  return saveModel(await loadModel({ config: CONFIG, weights })).weights;
}
