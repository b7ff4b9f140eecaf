// Trains the quick start's model from nothing on the State of the Union addresses, with this package's own full training.
// One run of about an hour made the model that is committed beside this script; PROVENANCE.md says how it went.
//
//   node examples/quickstart/train-model.mjs [OUT_DIR] [STEPS] [MINUTES]     (make-tokenizer.mjs first)
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  BatchStream,
  Trainer,
  initializeModel,
  kernelModule,
  learningRateAt,
  loadTokenizer,
  parseConfig,
  pooledSessions,
  saveModel,
  windows,
} from 'lors-wasm';
import { stateOfTheUnion } from './text.mjs';

const directory = fileURLToPath(new URL('model', import.meta.url));
const out = process.argv[2] ?? directory;
const steps = Number(process.argv[3] ?? 6000);
const minutes = Number(process.argv[4] ?? Infinity);
const ROW = 256;
const ROWS = 8;

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 128,
  intermediate_size: 384,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 2048,
  max_position_embeddings: ROW,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 1,
  torch_dtype: 'bfloat16',
  attention_bias: false,
  mlp_bias: false,
};

const tokenizer = loadTokenizer(directory);
const encode = (/** @type {string[]} */ documents) =>
  documents.map((text) => ({ ids: Int32Array.from([0, ...tokenizer.encode(text), 1]) }));
const text = stateOfTheUnion();
const train = windows(encode(text.train), ROW);
const valid = windows(encode(text.valid), ROW);
const { module, flavour } = kernelModule('auto', true);
const model = initializeModel(parseConfig(config, 'config'), 1);
const trainer = new Trainer(model, {
  training: { method: 'full' },
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxGradNorm: 1 },
  batchTokens: ROW * ROWS,
  maxSeqLength: ROW,
  recompute: 'none',
  sessions: pooledSessions({ module }),
});
const stream = new BatchStream(train, ROW, ROWS, 1);
/** @type {import('lors-wasm').Schedule} */
const schedule = { kind: 'cosine', learningRate: 3e-3, minLearningRate: 1e-4, warmup: 200, steps };
console.log(`${trainer.compiled.store.size} parameters, ${flavour} kernels, ${stream.batchesPerEpoch} batches an epoch`);

async function validLoss() {
  let loss = 0;
  let labelled = 0;
  for (let i = 0; i < valid.length; i += ROWS) {
    const part = await trainer.evaluate(valid.slice(i, i + ROWS));
    loss += part.loss;
    labelled += part.labelled;
  }
  return loss / labelled;
}

const start = Date.now();
let tokens = 0;
for (let step = 0; step < steps; step++) {
  // With a limit of time the schedule follows the clock instead of the count.
  const elapsed = (Date.now() - start) / 60000;
  const at = minutes === Infinity ? step : Math.max(Math.min(step, schedule.warmup), Math.floor((steps * elapsed) / minutes));
  if (at >= steps) break;
  const result = await trainer.update([stream.next()], learningRateAt(schedule, at));
  tokens += result.tokens;
  if ((step + 1) % 100 === 0) {
    const rate = tokens / ((Date.now() - start) / 1000);
    console.log(
      `step ${step + 1}  loss ${result.loss.toFixed(4)}  ${rate.toFixed(0)} tokens/s  ${((Date.now() - start) / 60000).toFixed(1)} min`,
    );
  }
  if ((step + 1) % 1000 === 0) console.log(`  held out: loss ${(await validLoss()).toFixed(4)}`);
}
const last = await validLoss();
console.log(`held out: loss ${last.toFixed(4)}, perplexity ${Math.exp(last).toFixed(2)} after ${tokens} tokens`);
saveModel(trainer.trainedModel(), out, { dtype: 'BF16', copyFrom: directory, existing: 'allow' });
await trainer.close();
console.log(`saved to ${out}; ${readFileSync(`${out}/model.safetensors`).length} bytes`);
