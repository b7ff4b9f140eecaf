/** `lors-wasm` for Node: what the command does, as functions, and the parts that they are made of. */

// From directories to directories.
export { finetune } from './tasks/finetune.ts';
export type { FinetuneHooks, FinetuneResult } from './tasks/finetune.ts';
export { FINETUNE_OPTIONS } from './tasks/finetuneOptions.ts';
export { PRUNE_OPTIONS, prune } from './tasks/prune.ts';
export { QUANTIZE_OPTIONS, quantize } from './tasks/quantize.ts';
export { SEARCH_OPTIONS, search } from './tasks/search.ts';
export { EVALUATE_OPTIONS } from './tasks/evaluateOptions.ts';
export { evaluate } from './tasks/evaluate.ts';
export { GENERATE_OPTIONS } from './tasks/generateOptions.ts';
export { generate } from './tasks/generate.ts';
export { FUSE_OPTIONS, fuse } from './tasks/fuse.ts';
export { INSPECT_OPTIONS, inspect, inspectModel } from './tasks/inspect.ts';
export type { LayerReport, ModelReport } from './tasks/inspect.ts';
export type {
  DoneEvent,
  EvalEvent,
  InitEvent,
  PruneEvent,
  SaveEvent,
  SearchEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
} from './tasks/events.ts';
export { compare } from './bench/methods/compare.ts';
export type { CompareEvent, CompareHooks, CompareResult } from './bench/methods/compare.ts';
export { COMPARE_OPTIONS } from './bench/methods/options.ts';
export type { CompareReport, CurvePoint, MethodRow, MethodRun } from './bench/methods/types.ts';

// Models, adapters, tokenizers and text.
export { checkTokenizer } from './io/tokenizerFormat.ts';
export { loadModel, saveModel } from './io/model.ts';
export type { SaveModelOptions } from './io/model.ts';
export { loadAdapter, saveAdapter } from './io/adapter.ts';
export { StreamDecoder } from './io/streamDecoder.ts';
export { loadTokenizer } from './io/tokenizer.ts';
export type { Message, Tokenizer } from './io/tokenizerFormat.ts';
export { loadDataset } from './io/datasets.ts';
export { tokenizeRows } from './io/tokenizeRows.ts';
export { parseConfig } from './models/config.ts';
export type { LlamaConfig } from './models/config.ts';
export type { LlamaModel } from './models/model.ts';
export { initializeModel } from './models/init.ts';
export { checkAdapter, fuseAdapter, trainingOf } from './models/adapter.ts';
export type { Adapter, AdapterConfig } from './adapters/adapter.ts';
export type { AdapterModule } from './adapters/factors.ts';
export type { ElasticRanks } from './adapters/adapter.ts';
export type { RankSharing } from './adapters/rule.ts';
export { codes, gridOf, snapped } from './quant/grid.ts';
export type { Grid } from './quant/grid.ts';
export { gridsOf, snapModel } from './models/grids.ts';
export { loadGrids, saveGrids } from './io/grid.ts';
export { ADAPTER_METHODS } from './adapters/methods.ts';
export type { AdapterMethod } from './adapters/methods.ts';
export type { MergeRule } from './adapters/rule.ts';

// Pruning, training, evaluation and generation on models in memory.
export { pruneModel } from './prune/prune.ts';
export type { PruneOptions } from './prune/prune.ts';
export type { PruneRule } from './prune/rule.ts';
export { PRUNERS } from './prune/rule.ts';
export type { Pruner } from './prune/rule.ts';
export { OWL_DEFAULTS } from './prune/owl.ts';
export type { OwlOptions } from './prune/owl.ts';
export { formatSparsity, parseSparsity } from './prune/sparsity.ts';
export type { Sparsity } from './prune/sparsity.ts';
export { Trainer } from './train/trainer.ts';
export type { StepResult, TrainerOptions, TrainerState } from './train/trainer.ts';
export type { AdamW } from './train/optimizer.ts';
export type { AdapterTraining, Training } from './models/llama.ts';
export { BatchStream } from './train/batches.ts';
export type { BatchCursor } from './train/batches.ts';
export { windows } from './models/batch.ts';
export type { Sequence } from './models/batch.ts';
export { learningRateAt } from './train/schedule.ts';
export type { Schedule } from './train/schedule.ts';
export { initialFactors } from './train/initial.ts';
export { Evaluator, evaluateModel } from './train/evaluate.ts';
export { RankSampler, climb } from './train/nls.ts';
export type { ClimbOptions, ClimbTurn, Ranks } from './train/nls.ts';
export { gradientFactors } from './train/gradientInit.ts';
export type { GradientInitOptions } from './train/gradientInit.ts';
export type { EvaluateOptions, Evaluation } from './train/evaluate.ts';
export { generateIds } from './generate/generate.ts';
export type { GenerateOptions } from './generate/generate.ts';

export { keepMaskOf } from './sparse/pack.ts';
export type { BlockWeight, CsrWeight, DenseWeight, PackedWeight, QuadWeight } from './sparse/weight.ts';

// Kernels and errors.
export { kernelModule } from './io/kernelModule.ts';
export { probeFlavour } from './kernels/load.ts';
export { localSessions } from './runtime/local.ts';
export { pooledSessions } from './threads/pool.ts';
export type { PooledOptions } from './threads/pool.ts';
export type { SessionOptions, Sessions } from './runtime/session.ts';
export { Arena } from './runtime/arena.ts';
export { fileHome, homeOf, stagedHome } from './io/homes.ts';
export type { WeightHome } from './models/model.ts';
export type { ArrayKind, Room } from './core/room.ts';
export type { Flavour } from './core/flavour.ts';
export { DivergenceError, FormatError, MemoryBudgetError, OutputError, UnsupportedError, WorkerError } from './core/errors.ts';
