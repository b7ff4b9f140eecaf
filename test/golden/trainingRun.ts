/** The golden training runs, from tensors in memory. Nothing here needs Node: the runtimes' runner uses it too. */
import type { FactorTensors } from '../../src/adapters/factors.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { withValues } from '../../src/models/fuse.ts';
import type { AdapterTraining } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import type { Recompute } from '../../src/nn/block.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { pack } from '../../src/sparse/pack.ts';
import type { TrainerOptions } from '../../src/train/trainer.ts';

/** Input tokens of every golden sequence, as reference.py cut them. */
export const GOLDEN_LENGTH = 96;
/** Sequences of a batch. */
export const GOLDEN_BATCH = 4;
export const GOLDEN_STEPS = 20;
export const GOLDEN_RATE = 5e-3;

export const GOLDEN_METHODS = ['lors', 'sp-lora', 'lora'] as const;
export type GoldenMethod = (typeof GOLDEN_METHODS)[number];

/** The base: PyTorch's wanda 2:4 weights, every other tensor from the dense checkpoint. */
export function wandaOf(dense: LlamaModel, pruned: (tensor: string) => Float32Array): LlamaModel {
  const linears = new Map(
    [...dense.linears].map(([name, { rows, cols }]) => [name, pack('F32', pruned(`wanda/${name}.weight`), rows, cols)]),
  );
  return withValues(dense, { linears });
}

/** The adapters as they start. reference.py's A is up, its B is down; rank 8, scaling 2. */
export function trainingAtStart(model: LlamaModel, method: GoldenMethod, train: (tensor: string) => Float32Array): AdapterTraining {
  const factors = new Map<string, FactorTensors>();
  for (const name of model.linears.keys()) {
    factors.set(name, { rank: 8, up: train(`init/${name}.weight.A`), down: train(`init/${name}.weight.B`) });
  }
  return { method, scaling: 2, factors };
}

/** The trainer of the golden runs, on the calling thread. */
export function goldenOptions(training: AdapterTraining, module: WebAssembly.Module, recompute: Recompute = 'none'): TrainerOptions {
  return {
    training,
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
    batchesPerUpdate: 1,
    batchTokens: GOLDEN_BATCH * GOLDEN_LENGTH,
    maxSeqLength: GOLDEN_LENGTH,
    recompute,
    sessions: localSessions({ module }),
  };
}

/** Batch `step`, from 0. */
export function batchOf(all: readonly Sequence[], step: number): Sequence[] {
  return all.slice(step * GOLDEN_BATCH, (step + 1) * GOLDEN_BATCH);
}
