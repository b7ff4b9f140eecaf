/**
 * `lors-wasm/browser`: what a page has beside `lors-wasm/edge`. Threads, where it is cross-origin isolated; the measuring core of
 * `lors bench`; weights as matrices, to be drawn.
 *
 * @example
 * const runner = { memory: 'shared', sessions: (options) => webSessions({ ...options, threads: 4 }) };
 * const trainer = await createTrainer({ wasm: await fetch('plain-shared.wasm'), runner, model, tokenizer, data }); // of lors-wasm/edge
 */
export { canShareMemory, webSessions } from './threads/web.ts';
export type { WebOptions } from './threads/web.ts';
export { matrixOf } from './sparse/pack.ts';
export type { PackedWeight } from './sparse/weight.ts';
export { runBench } from './bench/run.ts';
export type { BenchEvent, BenchHost, BenchPlan } from './bench/run.ts';
export { quickPlan } from './bench/quick.ts';
export type { BenchReport } from './bench/types.ts';
