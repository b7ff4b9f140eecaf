/** One run: from a job, or from what is kept of one, to an adapter. */
import { createTrainer, evaluate, generate, saveAdapter } from 'lors-wasm/edge';
import type { Adapter, EdgeOptions, EdgeTrainer, LlamaModel, Tokenizer } from 'lors-wasm/edge';
import { mobyDick } from 'virtual:moby-dick';
import type { Given, Job, Moment, Sample, Settings, Told } from '../protocol.ts';
import { archive } from './archive.ts';
import type { Inputs } from './kept.ts';
import { keepInputs, keepProgress, readInputs, readProgress } from './kept.ts';
import type { Host } from './kernels.ts';
import { openHost } from './kernels.ts';
import { builtinFiles, filesOf, openModel, patternOf, zerosOf } from './model.ts';
import type { Store } from './store.ts';
import type { Text } from './text.ts';
import { splitText } from './text.ts';

/** A run is kept again after so long: what a reload can lose. */
const KEEP_MS = 2000;

/** Of the sample texts. */
const SAMPLING = { maxTokens: 60, temperature: 0.7, seed: 1 } as const;

type Tell = (told: Told) => void;

/** What a run is made of, however it begins. */
interface Parts {
  readonly store: Store;
  readonly tell: Tell;
  readonly host: Host;
  readonly trainer: EdgeTrainer;
  readonly text: Text;
  /** The files of the model that trains. */
  readonly files: readonly Given[];
  readonly inputs: Inputs;
  readonly losses: readonly number[];
}

export class Run {
  readonly #parts: Parts;
  readonly #losses: number[];
  #fused: LlamaModel | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#losses = [...parts.losses];
    const { tell, host, trainer, inputs } = parts;
    const { settings, name } = inputs;
    tell({
      tell: 'started',
      model: name,
      parameters: parametersOf(trainer.model),
      trainable: trainer.trainableParameters,
      kernels: host.flavour,
      threads: host.threads,
      planned: trainer.plan.arenaBytes,
      layers: [...trainer.model.linears.keys()],
      settings,
      losses: parts.losses,
    });
    tell({ tell: 'sample', moment: 'before', ...inputs.before });
    tell({ tell: 'pattern', moment: 'before', ...patternOf(trainer.model, firstLayer(trainer.model)) });
  }

  /** Reads, prunes, and looks at the model before its first step. Throws what these throw. */
  static async start({ model: given, text: givenText, settings }: Job, store: Store, tell: Tell): Promise<Run> {
    tell({ tell: 'doing', what: 'Reading the model …' });
    const name = given ? 'Your model' : 'The small Llama of the quick start';
    const source = given ?? (await builtinFiles());
    const { model, tokenizer } = await openModel('model', source);
    const text: Text = givenText ? splitText(givenText.name, await givenText.blob.text()) : mobyDick;
    const host = await openHost(settings.kernels, settings.threads);
    const pruning: EdgeOptions =
      settings.sparsity === 'keep' ? {} : { prune: 'wanda', sparsity: settings.sparsity, calibrationSamples: 32 };
    if (settings.sparsity !== 'keep') tell({ tell: 'doing', what: `Pruning to ${settings.sparsity} by Wanda …` });
    const trainer = await createTrainer({
      ...host.edge,
      // What the adapter says that it belongs to: it is beside it in the download.
      model: settings.sparsity === 'keep' ? model : { ...model, name: 'pruned' },
      tokenizer,
      data: { rows: text.train },
      options: { ...optionsOf(settings), ...pruning },
      onPruned: (layer, layers) =>
        tell({ tell: 'doing', what: `Pruning to ${settings.sparsity} by Wanda: block ${layer + 1} of ${layers} …` }),
    });
    try {
      tell({ tell: 'doing', what: 'Looking at the model before it trains …' });
      const files = filesOf(trainer.model, source);
      const before = await sampleOf(host, trainer.model, tokenizer, text, settings);
      const inputs = { name, settings, flavour: host.flavour, before };
      await keepInputs(store, inputs, files, text);
      return new Run({ store, tell, host, trainer, text, files, inputs, losses: [] });
    } catch (error) {
      // Threads and their memory are not left behind.
      await trainer.close();
      throw error;
    }
  }

  /** Goes on where the kept run stands. Throws where nothing, or something else, is kept. */
  static async resume(store: Store, tell: Tell): Promise<Run> {
    tell({ tell: 'doing', what: 'Reading the kept run …' });
    const progress = await readProgress(store);
    if (!progress) throw new Error('expected a run that is kept in this browser, got none.');
    const { inputs, model: files, text } = await readInputs(store);
    const { settings } = inputs;
    const { model, tokenizer } = await openModel(settings.sparsity === 'keep' ? 'model' : 'pruned', files);
    const host = await openHost(inputs.flavour, settings.threads);
    const trainer = await createTrainer({
      ...host.edge,
      model,
      tokenizer,
      data: { rows: text.train },
      options: optionsOf(settings),
      state: progress.state.stream(),
    });
    return new Run({ store, tell, host, trainer, text, files, inputs, losses: progress.losses });
  }

  /** Trains to the end, or until it is stopped; either way the run is kept, and the model looked at. */
  async train(signal: AbortSignal): Promise<void> {
    const { trainer, tell, host, inputs, text } = this.#parts;
    try {
      await this.#keep();
      tell({ tell: 'doing', what: `Training: ${trainer.steps} steps …` });
      const began = performance.now();
      const first = trainer.stepsDone;
      let tokens = 0;
      while (!trainer.done && !signal.aborted) {
        await trainer.run({
          budgetMs: KEEP_MS,
          signal,
          onStep: (step) => {
            this.#losses.push(step.loss);
            tokens += step.tokens;
            const seconds = (performance.now() - began) / 1000;
            const secondsLeft = ((step.steps - step.step) * seconds) / (step.step - first);
            tell({ tell: 'step', step: step.step, steps: step.steps, loss: step.loss, tokensPerSecond: tokens / seconds, secondsLeft });
          },
        });
        await this.#keep();
      }
    } finally {
      await trainer.close();
    }
    tell({ tell: 'doing', what: 'Looking at what it has learned …' });
    tell({
      tell: 'sample',
      moment: 'after',
      ...(await sampleOf(host, trainer.model, trainer.tokenizer, text, inputs.settings, trainer.adapter())),
    });
    this.#fused = trainer.fused();
    tell({ tell: 'zeros', ...zerosOf(trainer.model, this.#fused) });
    this.tellPatterns(firstLayer(trainer.model));
    tell({ tell: 'ended', saved: { step: trainer.stepsDone, steps: trainer.steps, model: inputs.name }, finished: trainer.done });
  }

  /** Tells what a layer looked like before, and looks like now. */
  tellPatterns(layer: string): void {
    const { trainer, tell } = this.#parts;
    const models: readonly (readonly [Moment, LlamaModel | undefined])[] = [
      ['before', trainer.model],
      ['after', this.#fused],
    ];
    for (const [moment, model] of models) if (model) tell({ tell: 'pattern', moment, ...patternOf(model, layer) });
  }

  /** The adapter as `lors finetune` leaves it, or the fused model as a Hugging Face directory; as a zip. */
  async download(what: 'adapter' | 'fused'): Promise<Given> {
    const { trainer, files, inputs } = this.#parts;
    if (what === 'fused') {
      const fused = filesOf(this.#fused ?? trainer.fused(), files);
      return { name: 'fused.zip', blob: await archive(fused.map(({ name, blob }) => ({ name: `fused/${name}`, blob }))) };
    }
    const { config, weights } = saveAdapter(trainer.adapter());
    const pruned = inputs.settings.sparsity === 'keep' ? [] : files;
    const all = [
      { name: 'adapter/adapter_config.json', blob: new Blob([`${JSON.stringify(config, null, 2)}\n`]) },
      { name: 'adapter/adapter_model.safetensors', blob: new Blob([weights]) },
      ...pruned.map(({ name, blob }) => ({ name: `adapter/pruned/${name}`, blob })),
    ];
    return { name: 'adapter.zip', blob: await archive(all) };
  }

  async #keep(): Promise<void> {
    const { store, tell, trainer } = this.#parts;
    await keepProgress(store, { losses: this.#losses, steps: trainer.steps, state: new Blob([trainer.state()]) });
    tell({ tell: 'saved', step: trainer.stepsDone });
  }
}

function optionsOf({ steps, rank, learningRate, batch, length }: Settings): EdgeOptions {
  return {
    iters: steps,
    rank,
    alpha: 2 * rank,
    learningRate,
    warmup: Math.min(10, Math.floor(steps / 10)),
    batchSize: batch,
    maxSeqLength: length,
    seed: 1,
  };
}

/** Text and perplexity of a model, on text that nothing trains on. */
async function sampleOf(
  host: Host,
  model: LlamaModel,
  tokenizer: Tokenizer,
  { valid }: Text,
  { prompt, length }: Settings,
  adapter?: Adapter,
): Promise<Sample> {
  const on = { ...host.edge, model, tokenizer, ...(adapter && { adapter }) };
  const { perplexity, tokens } = await evaluate({ ...on, data: { rows: valid }, options: { maxSeqLength: length } });
  let text = prompt;
  for await (const piece of generate({ ...on, options: { prompt, ...SAMPLING } })) text += piece;
  return { text: `${text} …`, perplexity, tokens };
}

function firstLayer(model: LlamaModel): string {
  const [name] = model.linears.keys();
  if (name === undefined) throw new RangeError('Model: expected at least one block, got none.');
  return name;
}

function parametersOf({ linears, gains, embedding, head }: LlamaModel): number {
  const matrices = [...linears.values(), embedding, ...(head ? [head] : [])];
  return matrices.reduce((n, { rows, cols }) => n + rows * cols, 0) + [...gains.values()].reduce((n, { values }) => n + values.length, 0);
}
