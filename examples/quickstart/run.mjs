// The quick start: a small dense Llama becomes a sparse one that writes like Melville, on a CPU, in a minute or two.
//
//   npm start            (in a bare clone: installs and builds first)
//
// It prunes the model beside this file to 2:4, fine-tunes it with LoRS on Moby Dick, merges the adapter, and shows at each
// stage what the model knows and that the zeros stayed zero. Everything here is the public library; nothing is special.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluate, finetune, fuse, generate, inspect, keepMaskOf, loadModel, probeFlavour } from 'lors-wasm';
import { mobyDickChapters } from './text.mjs';

const model = fileURLToPath(new URL('model', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const out = process.argv[2] ?? join(root, 'out', 'quickstart');
const prompt = 'The whale';
const short = (/** @type {string} */ path) => relative(process.cwd(), path) || '.';
const began = Date.now();

rmSync(out, { recursive: true, force: true });
const data = join(out, 'data');
mkdirSync(data, { recursive: true });
const text = mobyDickChapters();
for (const split of /** @type {const} */ (['train', 'valid'])) {
  writeFileSync(join(data, `${split}.jsonl`), text[split].map((chapter) => `${JSON.stringify({ text: chapter })}\n`).join(''));
}

/** @param {string} title @param {{ model: string, adapter?: string }} what */
async function show(title, what) {
  const { perplexity, tokens } = await evaluate({ ...what, data, maxSeqLength: 256 });
  let words = '';
  for await (const piece of generate({ ...what, prompt, maxTokens: 40, temperature: 0.7, seed: 1 })) words += piece.replace(/\s+/g, ' ');
  console.log(`\n${title}\n  perplexity ${perplexity.toFixed(2)} on ${tokens} held-out tokens of Moby Dick\n  "${prompt}${words} ..."`);
}

const { parameters } = inspect({ model });
console.log(
  `A Llama of ${(parameters / 1e6).toFixed(2)} M parameters, trained on State of the Union addresses (${probeFlavour()} SIMD kernels, ${availableParallelism()} threads).`,
);
await show('Dense', { model });

console.log('\nPruning to 2:4 with Wanda, then fine-tuning with LoRS on Moby Dick:');
const adapter = join(out, 'adapter');
await finetune(
  {
    model,
    data,
    out: adapter,
    prune: 'wanda',
    sparsity: '2:4',
    calibrationSamples: 32,
    method: 'lors',
    rank: 16,
    alpha: 32,
    iters: 120,
    batchSize: 6,
    maxSeqLength: 256,
    learningRate: 4e-3,
    warmup: 10,
    stepsPerReport: 20,
    stepsPerEval: 60,
    saveEvery: 0,
    seed: 1,
  },
  {
    onEvent: (event) => {
      if (event.event === 'start')
        console.log(`  ${event.trainableParameters} trainable parameters; memory planned ${(event.plannedBytes / 1e6).toFixed(0)} MB`);
      if (event.event === 'step')
        console.log(`  step ${event.step}/${event.steps}  loss ${event.loss.toFixed(3)}  ${event.tokensPerSecond.toFixed(0)} tokens/s`);
    },
  },
);
const pruned = join(adapter, 'pruned');
await show('Pruned to 2:4', { model: pruned });
await show('Pruned and fine-tuned (LoRS)', { model: pruned, adapter });

const fused = join(out, 'fused');
fuse({ model: pruned, adapter, out: fused });
let zeros = 0;
let moved = 0;
const [before, after] = [loadModel(pruned), loadModel(fused)];
for (const [name, weight] of before.linears) {
  const [was, is] = [keepMaskOf(weight), keepMaskOf(after.linears.get(name) ?? weight)];
  was.forEach((kept, i) => {
    zeros += 1 - kept;
    moved += Number(kept !== is[i]);
  });
}
console.log(`\nMerged: of ${zeros} pruned weights ${moved === 0 ? 'all are still exactly zero' : `${moved} CHANGED`}.`);
console.log(`Done in ${((Date.now() - began) / 1000).toFixed(0)} s. Results in ${short(out)}:
  adapter/         the adapter, PEFT's file names; adapter/pruned is the 2:4 base, adapter/log.jsonl the losses
  fused/           the fine-tuned 2:4 model as a Hugging Face directory
Next:
  npx lors generate --model ${short(fused)} --prompt "Call me"
  npx lors inspect --model ${short(fused)}
  npx lors finetune --help`);
if (moved > 0) process.exitCode = 1;
