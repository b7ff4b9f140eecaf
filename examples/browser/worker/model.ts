/** Models in this worker: from the files that the page was given, from the built-in ones, and as files again. */
import { matrixOf } from 'lors-wasm/browser';
import { loadModel, loadTokenizer, saveModel } from 'lors-wasm/edge';
import type { LlamaModel, Tokenizer } from 'lors-wasm/edge';
import config from '../../quickstart/model/config.json?url';
import weights from '../../quickstart/model/model.safetensors?url';
import tokenizer from '../../quickstart/model/tokenizer.json?url';
import tokenizerConfig from '../../quickstart/model/tokenizer_config.json?url';
import type { Given, Pattern, Zeros } from '../protocol.ts';

/** The files of the built-in model, as if the page had been given them. */
export async function builtinFiles(): Promise<Given[]> {
  const files = {
    'config.json': config,
    'model.safetensors': weights,
    'tokenizer.json': tokenizer,
    'tokenizer_config.json': tokenizerConfig,
  };
  return Promise.all(
    Object.entries(files).map(async ([name, url]) => {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${name}: expected it beside the page, got HTTP ${answer.status}.`);
      return { name, blob: await answer.blob() };
    }),
  );
}

/** A model and its tokenizer. Throws what loading throws. */
export async function openModel(name: string, files: readonly Given[]): Promise<{ model: LlamaModel; tokenizer: Tokenizer }> {
  const text = async (file: string): Promise<string | undefined> => files.find((given) => given.name === file)?.blob.text();
  const needed = async (file: string): Promise<string> => {
    const found = await text(file);
    if (found === undefined) throw new RangeError(`Model: expected ${file} among its files, got none.`);
    return found;
  };
  const shards = files.filter(({ name: file }) => file.endsWith('.safetensors'));
  const [model, made] = await Promise.all([
    loadModel({ name, config: await needed('config.json'), weights: shards.map(({ blob }) => blob.stream()) }),
    loadTokenizer({
      name,
      json: await needed('tokenizer.json'),
      config: await text('tokenizer_config.json'),
      chatTemplate: await text('chat_template.jinja'),
    }),
  ]);
  return { model, tokenizer: made };
}

/** Files that belong to a model whatever its weights are. */
const COMPANIONS =
  /^(?:tokenizer.*|special_tokens_map|added_tokens|generation_config|vocab)\.json$|^(?:chat_template\.jinja|tokenizer\.model|merges\.txt)$/;

/** A model as the files of a Hugging Face directory; what goes with its tokenizer comes from the files that it was made of. */
export function filesOf(model: LlamaModel, source: readonly Given[]): Given[] {
  const saved = saveModel(model);
  return [
    { name: 'config.json', blob: new Blob([`${JSON.stringify(saved.config, null, 2)}\n`]) },
    { name: 'model.safetensors', blob: new Blob([saved.weights]) },
    ...source.filter(({ name }) => COMPANIONS.test(name)),
  ];
}

/** Entries of the corner of a matrix that is drawn. */
const CORNER = 48;

/** The corner of a layer's weight. */
export function patternOf(model: LlamaModel, layer: string): Pattern {
  const matrix = entriesOf(model, layer);
  const { rows, cols } = model.linears.get(layer)!;
  const size = Math.min(CORNER, rows, cols);
  const values = Float32Array.from({ length: size * size }, (_, i) => matrix[Math.floor(i / size) * cols + (i % size)]!);
  return { layer, rows, cols, size, values };
}

/** Looks at every weight of all projections of two models: those that are zero in the first should be in the second. */
export function zerosOf(before: LlamaModel, after: LlamaModel): Zeros {
  const zeros = { pruned: 0, weights: 0, filled: 0 };
  for (const layer of before.linears.keys()) {
    const [was, is] = [entriesOf(before, layer), entriesOf(after, layer)];
    zeros.weights += was.length;
    for (let i = 0; i < was.length; i++) {
      if (was[i] !== 0) continue;
      zeros.pruned++;
      if (is[i] !== 0) zeros.filled++;
    }
  }
  return zeros;
}

function entriesOf(model: LlamaModel, layer: string): Float32Array {
  const weight = model.linears.get(layer);
  if (!weight) throw new RangeError(`Layer: expected one of the model's projections, got ${layer}.`);
  return matrixOf(weight);
}
