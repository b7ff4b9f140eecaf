/** stories260K and the golden tensors that PyTorch made from it: ../shared, opened once a test file. */
import { readFileSync } from 'node:fs';
import { describe, test } from 'vitest';
import { loadModel } from '../../src/io/model.ts';
import type { SafetensorsFile } from '../../src/io/safetensors.ts';
import { openSafetensors } from '../../src/io/safetensors.ts';
import type { Sequence } from '../../src/models/batch.ts';
import type { AdapterTraining } from '../../src/models/llama.ts';
import type { LlamaModel } from '../../src/models/model.ts';
import { hasShared, sharedPath } from '../shared.ts';
import type { GoldenMethod } from './trainingRun.ts';
import { trainingAtStart, wandaOf } from './trainingRun.ts';

export { GOLDEN_LENGTH, GOLDEN_METHODS } from './trainingRun.ts';
export type { GoldenMethod } from './trainingRun.ts';

/** The model's directory. */
export const STORIES = sharedPath('models', 'stories260K');

/** A suite that needs ../shared: one skipped line that says so where that is missing (test/shared.ts fails under CI). */
export function withShared(name: string, suite: () => void): void {
  if (hasShared) describe(name, suite);
  else test.skip(`${name} (skipped: no ../shared)`);
}

const opened = new Map<string, SafetensorsFile>();

function file(name: string): SafetensorsFile {
  let found = opened.get(name);
  if (!found) opened.set(name, (found = openSafetensors(sharedPath('golden', `${name}.safetensors`))));
  return found;
}

/** An F32 tensor of a golden file. */
export function floats(name: string, tensor: string): Float32Array {
  return new Float32Array(file(name).read(tensor).buffer);
}

/** Rows of token ids of a golden file: its last axis is the sequence. */
export function idRows(name: string, tensor: string): Int32Array[] {
  const length = file(name).info(tensor)!.shape.at(-1)!;
  const { dtype } = file(name).info(tensor)!;
  const { buffer } = file(name).read(tensor);
  const ids = dtype === 'I64' ? Int32Array.from(new BigInt64Array(buffer), Number) : new Int32Array(buffer);
  return Array.from({ length: ids.length / length }, (_, i) => ids.slice(i * length, (i + 1) * length));
}

/** Windows whose last id is a target. */
export function sequences(name: string, tensor: string): Sequence[] {
  return idRows(name, tensor).map((ids) => ({ ids }));
}

/** Windows that are inputs alone: a target is appended that nothing looks at. */
export function inputSequences(name: string, tensor: string): Sequence[] {
  return idRows(name, tensor).map((ids) => ({ ids: Int32Array.of(...ids, 0) }));
}

interface Report {
  readonly perplexity: Readonly<Record<string, number>>;
  readonly train: Readonly<Record<string, readonly number[]>>;
}

/** Losses and perplexities, in f64. */
export function report(): Report {
  return JSON.parse(readFileSync(sharedPath('golden', 'report.json'), 'utf8')) as Report;
}

/** The dense model. */
export function denseModel(): LlamaModel {
  return loadModel(STORIES);
}

/** The base of the golden training runs. */
export function wandaModel(): LlamaModel {
  return wandaOf(denseModel(), (tensor) => floats('pruned', tensor));
}

/** The golden runs' adapters as they start. */
export function goldenTraining(model: LlamaModel, method: GoldenMethod): AdapterTraining {
  return trainingAtStart(model, method, (tensor) => floats('train', tensor));
}
