/**
 * The golden part of the tests for any runtime: every kernel case and the losses of twenty steps against PyTorch, and how fast the same
 * step is. Pure: a runtime hands in bytes and gets a report, so that one module serves Node, Deno, Bun, Workers and browsers.
 */
import { compileKernels, loadModel } from '../../src/edge.ts';
import type { Arithmetic } from '../../src/kernels/load.ts';
import type { Safetensors } from '../../src/io/safetensorsFormat.ts';
import { parseSafetensors } from '../../src/io/safetensorsFormat.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { pack } from '../../src/sparse/pack.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { CASES, readCase, runLinear } from '../golden/linearRun.ts';
import { mergedTolerance, resultTolerances } from '../golden/linearTolerances.ts';
import { GOLDEN_METHODS, GOLDEN_RATE, GOLDEN_STEPS, batchOf, goldenOptions, trainingAtStart, wandaOf } from '../golden/trainingRun.ts';
import { EPS, expectClose, largest } from '../kernels/tolerance.ts';
import type { GoldenFiles } from './files.ts';

export interface GoldenReport {
  /** Whether these kernels round products on this host: relaxed ones need not fuse. */
  readonly arithmetic: Arithmetic;
  /** Layers that were compared: cases by formats by methods. */
  readonly layers: number;
  /** Runs of twenty steps, and the largest difference of a loss from PyTorch's. */
  readonly runs: number;
  readonly worstLoss: number;
  /** Of the golden batch, 384 tokens, with LoRS of rank 8: forward, backward and update, on one thread. */
  readonly tokensPerSecond: number;
}

/** Throws where a result is not within the tolerance of PyTorch's. */
export async function runGolden(wasm: WebAssembly.Module, files: GoldenFiles, timedSteps = 40): Promise<GoldenReport> {
  const { module, arithmetic } = await compileKernels(wasm);
  const layers = checkLayers(parseSafetensors(files.kernels, 'kernels'), module);

  const text = new TextDecoder().decode(files.report);
  const wanted = (JSON.parse(text) as { train: Readonly<Record<string, readonly number[]>> }).train;
  const [pruned, train] = [parseSafetensors(files.pruned, 'pruned'), parseSafetensors(files.train, 'train')];
  const dense = await loadModel({ name: 'stories260K', config: files.config, weights: files.weights });
  const model = wandaOf(dense, (tensor) => floats(pruned, tensor));
  const batches = sequencesOf(train);
  let worstLoss = 0;
  let tokensPerSecond = 0;
  for (const method of GOLDEN_METHODS) {
    const trainer = new Trainer(
      model,
      goldenOptions(
        trainingAtStart(model, method, (tensor) => floats(train, tensor)),
        module,
      ),
    );
    const losses: number[] = [];
    for (let step = 0; step < GOLDEN_STEPS; step++) losses.push((await trainer.update([batchOf(batches, step)], GOLDEN_RATE)).loss);
    expectClose(`${method} losses`, losses, wanted[method]!, 1e-4);
    worstLoss = Math.max(worstLoss, ...losses.map((loss, i) => Math.abs(loss - wanted[method]![i]!)));
    if (method === 'lors') tokensPerSecond = await speedOf(trainer, batchOf(batches, 0), timedSteps);
  }
  return { arithmetic, layers, runs: GOLDEN_METHODS.length, worstLoss, tokensPerSecond };
}

/** Every case, as every format that it can have, by every method that PyTorch has numbers of. Returns how many there were. */
function checkLayers(golden: Safetensors, module: WebAssembly.Module): number {
  let compared = 0;
  for (const name of CASES) {
    const c = readCase(golden, name);
    const formats = name === 'dense' ? (['dense', 'quad', 'csr'] as const) : (['quad', 'csr'] as const);
    for (const format of formats) {
      for (const method of GOLDEN_METHODS) {
        const got = runLinear(c, method, pack('F32', c.W, c.rows, c.cols, { format }), module);
        const allowed = resultTolerances(method, c);
        for (const result of ['y', 'gx', 'gA', 'gB'] as const) {
          const want = c.want(method, result);
          expectClose(`${name} ${format} ${method} ${result}`, got[result], want, allowed[result] + EPS * largest(want));
        }
        expectClose(`${name} ${format} merged`, got.merged, c.merged, (i) => (c.merged[i] === 0 ? 0 : mergedTolerance(method, c)));
        compared++;
      }
    }
  }
  return compared;
}

async function speedOf(trainer: Trainer, batch: readonly Sequence[], steps: number): Promise<number> {
  const began = performance.now();
  let tokens = 0;
  for (let i = 0; i < steps; i++) tokens += (await trainer.update([batch], 0)).tokens;
  return tokens / ((performance.now() - began) / 1000);
}

function floats(file: Safetensors, tensor: string): Float32Array {
  return new Float32Array(file.read(tensor).buffer);
}

function sequencesOf(train: Safetensors): Sequence[] {
  const { shape, dtype } = train.info('batches')!;
  const { buffer } = train.read('batches');
  const ids = dtype === 'I64' ? Int32Array.from(new BigInt64Array(buffer), Number) : new Int32Array(buffer);
  const length = shape.at(-1)!;
  return Array.from({ length: ids.length / length }, (_, i) => ({ ids: ids.slice(i * length, (i + 1) * length) }));
}
