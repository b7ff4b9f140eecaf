/**
 * `lors-wasm/edge`: fine-tuning where there are no files, no threads and little memory: Workers, browsers, anything that runs
 * WebAssembly. It imports nothing of Node, makes no code from text, and compiles nothing when a module is handed in.
 *
 * @example
 * import plain from 'lors-wasm/plain.wasm';
 * const trainer = await createTrainer({
 *   wasm: plain,
 *   model: { config: await fetch('config.json'), weights: await fetch('model.safetensors') },
 *   tokenizer: { json: await fetch('tokenizer.json'), config: await fetch('tokenizer_config.json') },
 *   data: { jsonl },
 *   options: { prune: 'wanda', rank: 8, iters: 100 },
 *   memoryBytes: 100e6,
 * });
 * const { done } = await trainer.run({ budgetMs: 5000 });
 * const bytes = trainer.state(); // createTrainer({ ..., state: bytes }) goes on, bit for bit
 */
export { createTrainer, EdgeTrainer } from './edge/trainer.ts';
export type { EdgeStep, RunLimits, RunResult, TrainerPlan } from './edge/trainer.ts';
export type { TrainerInput } from './edge/prepare.ts';
export { EDGE_EVALUATE_OPTIONS, EDGE_GENERATE_OPTIONS, EDGE_OPTIONS } from './edge/options.ts';
export type { EdgeOptions, EdgeSettings } from './edge/options.ts';
export type { HostOptions, Runner } from './edge/host.ts';
export { compileKernels } from './edge/kernels.ts';
export type { EdgeKernels, WasmInput, WasmSource } from './edge/kernels.ts';
export type { BytesSource, JsonSource } from './edge/bytes.ts';
export type { DataSource } from './edge/data.ts';

// Models, adapters and tokenizers from and to bytes.
export { loadModel, saveModel, streamModel } from './edge/model.ts';
export type { LoadOptions, ModelBytes, ModelFiles, SaveOptions } from './edge/model.ts';
export { loadAdapter, saveAdapter } from './edge/adapter.ts';
export type { AdapterBytes, AdapterFiles } from './edge/adapter.ts';
export { loadTokenizer } from './edge/tokenizer.ts';
export type { TokenizerFiles } from './edge/tokenizer.ts';
export { parseJsonl, parseText } from './io/rows.ts';
export type { Row } from './io/rows.ts';
export type { Message, Tokenizer } from './io/tokenizerFormat.ts';
export type { LlamaModel } from './models/model.ts';
export type { Adapter, AdapterConfig } from './adapters/adapter.ts';
export type { AdapterMethod } from './adapters/methods.ts';

// Models in memory.
export { evaluate, fuse, generate, prune } from './edge/tasks.ts';
export type { EvaluateInput, FuseInput, GenerateInput, ModelOnHost, PruneInput } from './edge/tasks.ts';
export { parseSparsity } from './prune/sparsity.ts';
export type { PruneRule } from './prune/rule.ts';
export type { Evaluation } from './train/evaluate.ts';

// Sessions of one's own: what a Runner makes.
export { Session, planOf } from './runtime/session.ts';
export type { SessionOptions, Sessions } from './runtime/session.ts';
export { localSessions } from './runtime/local.ts';

export { probeFlavour } from './kernels/load.ts';
export type { Flavour } from './core/flavour.ts';
export { VERSION } from './core/version.ts';
export { DivergenceError, FormatError, MemoryBudgetError, UnsupportedError, WorkerError } from './core/errors.ts';
