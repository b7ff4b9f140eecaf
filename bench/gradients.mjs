// Gradients of masked low-rank adapters at equal time: what each costs a step, then each trained for as long as `exact` takes for
// --steps, at several learning rates, the best of which counts.
//
//   npm run bench:gradients -- [--pairs stories,whale,grimm] [--trials lors,exact] [--steps 150] [--seeds 0,1]
//                              [--rates 0.005,0.01,0.02] [--rounds 60] [--flavour auto] [--equal time|steps] [--quick] [--json FILE]
//
// Runs are deterministic but for the numbers of steps, which follow the measured costs. Trials that have no kernels (see
// gradients/updates.mjs) are taken to cost what AdamW does. stories and grimm need the shared folder of models beside the
// repository; whale is the quick start's model and text. --trials all takes every idea, --quick is one pair and a few steps.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { kernelModule } from '../dist/io/kernelModule.js';
import { localSessions } from '../dist/runtime/local.js';
import { PAIRS, available, prepare } from './gradients/pairs.mjs';
import { GradientRun, costs, trained } from './gradients/run.mjs';
import { TRIALS } from './gradients/trials.mjs';

const { values: given } = parseArgs({
  options: {
    pairs: { type: 'string' },
    trials: { type: 'string', default: 'lors,exact' },
    steps: { type: 'string' },
    seeds: { type: 'string' },
    rates: { type: 'string' },
    rounds: { type: 'string', default: '60' },
    flavour: { type: 'string', default: 'auto' },
    equal: { type: 'string', default: 'time' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const list = (/** @type {string} */ text) => text.split(',').map((part) => part.trim());
const pairs = chosen('--pairs', PAIRS, given.pairs ?? (given.quick ? 'whale' : 'stories,whale,grimm'));
const trials = chosen('--trials', TRIALS, given.trials);
const steps = Number(given.steps ?? (given.quick ? 12 : 150));
const seeds = list(given.seeds ?? (given.quick ? '0' : '0,1')).map(Number);
const rates = list(given.rates ?? (given.quick ? '0.01' : '0.005,0.01,0.02')).map(Number);
const rounds = Number(given.rounds);
if (!['time', 'steps'].includes(given.equal)) throw new RangeError(`--equal: expected time or steps, got ${given.equal}.`);
for (const [flag, number] of /** @type {const} */ ([
  ['--steps', steps],
  ['--rounds', rounds],
])) {
  if (!Number.isInteger(number) || number < 1) throw new RangeError(`${flag}: expected a whole number of at least 1, got ${number}.`);
}

/** @template T @param {string} flag @param {Readonly<Record<string, T>>} table @param {string} text @returns {[string, T][]} */
function chosen(flag, table, text) {
  return (text === 'all' ? Object.keys(table) : list(text)).map((name) => {
    const found = table[name];
    if (!found) throw new RangeError(`${flag}: expected all or some of ${Object.keys(table).join(', ')}, got ${name}.`);
    return [name, found];
  });
}

const { module, flavour } = kernelModule(/** @type {'auto' | 'plain' | 'relaxed'} */ (given.flavour));
const mean = (/** @type {number[]} */ all) => all.reduce((a, b) => a + b, 0) / all.length;
const results = [];
for (const [pairName, pair] of pairs) {
  if (!available(pair)) {
    console.log(`${pair.name}: left out, ${pair.model} is not there`);
    continue;
  }
  const data = await prepare(pair, localSessions({ module }));
  const { length, windows, rank } = pair;
  const options = { length, windows, rank, module };
  const reference = TRIALS['exact'];
  const runs = [reference, ...trials.map(([, trial]) => trial)].map((trial) => new GradientRun(data.model, trial, { ...options, seed: 0 }));
  const [budget, ...times] = costs(runs, data.train.slice(0, windows), rounds);
  console.log(`\n${pair.name}: rank ${rank}, ${windows} x ${length} tokens a step; ${flavour} SIMD, Node ${process.versions.node}`);
  console.log(`exact: ${budget.toFixed(2)} ms of kernels a step; all for the time of ${steps} such steps; seeds ${seeds.join(', ')}`);
  for (const [i, [name, trial]] of trials.entries()) {
    const taken = given.equal === 'time' ? Math.max(1, Math.round((steps * budget) / times[i])) : steps;
    const cells = rates.map((rate) => ({
      rate,
      perplexities: seeds.map((seed) => trained(data, trial, { ...options, seed, steps: taken, rate })),
    }));
    const best = cells.reduce((a, b) => (mean(b.perplexities) < mean(a.perplexities) ? b : a));
    const relative = times[i] / budget;
    results.push({ pair: pairName, trial: name, milliseconds: times[i], relative, steps: taken, best, cells });
    const shown = cells.map(({ rate, perplexities }) => `${rate}: ${perplexities.map((p) => p.toFixed(3)).join(' ')}`).join('   ');
    console.log(
      `  ${name.padEnd(9)} ${relative.toFixed(3)} of exact's time, ${String(taken).padStart(4)} steps: ` +
        `${mean(best.perplexities).toFixed(3)} at ${best.rate}   (${shown})   ${trial.what}`,
    );
  }
}
if (given.json)
  writeFileSync(given.json, `${JSON.stringify({ flavour, node: process.versions.node, steps, seeds, rates, results }, null, 2)}\n`);
