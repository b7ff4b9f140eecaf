// What a second thread gives: steps on one thread, on N threads, and in N processes of one thread each at the same time. Those
// together are what the machine's cores can do at most; threads that share a model come near to it or they do not.
//
//   npm run bench:threads -- [--shape 135m] [--tokens 512] [--threads 2] [--layers N] [--rounds 4] [--flavour auto]
//
// The three take turns; the best round of each counts.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { homeOf } from '../dist/io/homes.js';
import { kernelModule } from '../dist/io/kernelModule.js';
import { PROJECTIONS } from '../dist/models/names.js';
import { Arena } from '../dist/runtime/arena.js';
import { pooledSessions } from '../dist/threads/pool.js';
import { initialFactors } from '../dist/train/initial.js';
import { Trainer } from '../dist/train/trainer.js';
import { answerLines, startChild } from './child.mjs';
import { randomModel, shapeConfig } from './randomModel.mjs';

const { values: options } = parseArgs({
  options: {
    shape: { type: 'string', default: '135m' },
    tokens: { type: 'string', default: '512' },
    threads: { type: 'string', default: String(availableParallelism()) },
    layers: { type: 'string' },
    rounds: { type: 'string', default: '4' },
    flavour: { type: 'string', default: 'auto' },
    child: { type: 'boolean', default: false },
  },
});
const tokens = Number(options.tokens);

/** A trainer in this process: a line in, a step, a line out. */
async function serve() {
  const shape = shapeConfig(options.shape);
  const config = { ...shape, layers: Number(options.layers ?? shape.layers) };
  const arena = new Arena(true);
  const model = randomModel(config, { pattern: '2:4', dtype: 'F32', home: homeOf(arena) });
  const { module } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed' | 'wide'} */ (options.flavour), true);
  const trainer = new Trainer(model, {
    training: { method: 'lors', gradient: 'lors', scaling: 2, factors: initialFactors(model, PROJECTIONS, 16, 0) },
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 },
    batchesPerUpdate: 1,
    batchTokens: tokens,
    maxSeqLength: tokens,
    recompute: 'none',
    sessions: pooledSessions({ module, threads: Number(options.threads), arena }),
  });
  const ids = Int32Array.from({ length: tokens + 1 }, (_, i) => (i * 7919) % config.vocabSize);
  const step = () => trainer.update([[{ ids }]], 1e-4);
  await step();
  console.log('ready');
  await answerLines(async () => {
    const start = performance.now();
    await step();
    return (performance.now() - start) / 1000;
  });
  await trainer.close();
}

/** A process with so many threads. @param {number} threads */
async function start(threads) {
  const args = [
    fileURLToPath(import.meta.url),
    '--child',
    '--threads',
    String(threads),
    '--shape',
    options.shape,
    '--tokens',
    options.tokens,
  ];
  args.push('--flavour', options.flavour, ...(options.layers ? ['--layers', options.layers] : []));
  const child = startChild(process.execPath, args);
  await child.line();
  return { step: async () => Number(await child.ask('step')), end: child.end };
}

if (options.child) {
  await serve();
} else {
  const threads = Number(options.threads);
  const together = await start(threads);
  const apart = await Promise.all(Array.from({ length: threads }, () => start(1)));
  const best = { one: Infinity, threads: Infinity, processes: Infinity };
  for (let round = 0; round < Number(options.rounds); round++) {
    best.one = Math.min(best.one, (await apart[0]?.step()) ?? NaN);
    best.threads = Math.min(best.threads, await together.step());
    // The last of them to end: until then not all of the work is done.
    best.processes = Math.min(best.processes, Math.max(...(await Promise.all(apart.map((process) => process.step())))));
  }
  const rate = { one: tokens / best.one, threads: tokens / best.threads, processes: (threads * tokens) / best.processes };
  console.log(
    `${options.shape}${options.layers ? ` of ${options.layers} layers` : ''}, ${tokens} tokens, Node ${process.versions.node}, ${options.flavour} SIMD\n` +
      `one thread ${rate.one.toFixed(1)} tokens/s; ${threads} threads ${rate.threads.toFixed(1)} (${(rate.threads / rate.one).toFixed(2)}x); ` +
      `${threads} processes together ${rate.processes.toFixed(1)} (${(rate.processes / rate.one).toFixed(2)}x)\n` +
      `threads / what the processes reach: ${(rate.threads / rate.processes).toFixed(3)}`,
  );
  for (const { end } of [together, ...apart]) end();
}
