/** A whole run from directories to a directory: what it leaves behind, and that what it leaves is of use. */
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { loadAdapter } from '../../src/io/adapter.ts';
import { loadModel } from '../../src/io/model.ts';
import { openSafetensors } from '../../src/io/safetensors.ts';
import { checkAdapter } from '../../src/models/adapter.ts';
import { projectionNames } from '../../src/models/names.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import type { StepEvent } from '../../src/tasks/events.ts';
import { learningRateAt } from '../../src/train/schedule.ts';
import { STORIES, filesOf, readJson, readLines, run, temporaryDirectory, withShared, writeStories } from './workspace.ts';

withShared('finetune --prune wanda, on stories260K', () => {
  const root = temporaryDirectory();
  const out = join(root, 'out');
  let data: string;
  let result: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    data = writeStories(join(root, 'data'), 40);
    result = await run({
      model: STORIES,
      data,
      out,
      prune: 'wanda',
      rank: 6,
      alpha: 12,
      iters: 12,
      batchSize: 2,
      maxSeqLength: 64,
      learningRate: 1e-2,
      warmup: 3,
      stepsPerReport: 4,
      stepsPerEval: 6,
      saveEvery: 5,
    });
  });

  test('leaves the adapter, the pruned base, a log and the checkpoints that were asked for; no temporaries', () => {
    const adapter = ['adapter_config.json', 'adapter_model.safetensors'];
    const checkpoint = [...adapter, 'trainer_state.json', 'training_state.safetensors'];
    const model = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    expect(filesOf(out)).toEqual(
      [
        ...adapter,
        ...['checkpoint-10', 'checkpoint-12', 'checkpoint-5'].flatMap((name) => checkpoint.map((file) => join(name, file))),
        'log.jsonl',
        ...model.map((file) => join('pruned', file)),
      ].sort(),
    );
  });

  test('names tensors and fields as PEFT does, and a peft_type that keeps PEFT from filling the zeros', () => {
    const base = loadModel(join(out, 'pruned'));
    const file = openSafetensors(join(out, 'adapter_model.safetensors'));
    const want = projectionNames(base.config).flatMap((name) => {
      const { rows, cols } = base.linears.get(name)!;
      return [
        [`base_model.model.${name}.lora_A.weight`, [6, cols]],
        [`base_model.model.${name}.lora_B.weight`, [rows, 6]],
      ] as const;
    });
    expect(Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]))).toEqual(Object.fromEntries(want));
    expect(readJson(join(out, 'adapter_config.json'))).toMatchObject({
      peft_type: 'LORS',
      base_model_name_or_path: join(out, 'pruned'),
      r: 6,
      lora_alpha: 12,
      use_rslora: false,
      target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    });
    checkAdapter(base, loadAdapter(out));
  });

  test('logs means of the steps between reports, the rate of the schedule, and evaluations', () => {
    const log = readLines(join(out, 'log.jsonl'));
    expect(log.map(({ event, step }) => [event, step])).toEqual([
      ['step', 4],
      ['eval', 6],
      ['step', 8],
      ['step', 12],
      ['eval', 12],
    ]);
    const losses = result.events.flatMap((e) => (e.event === 'progress' ? [e.loss] : []));
    const schedule = { kind: 'cosine', learningRate: 1e-2, minLearningRate: 0, warmup: 3, steps: 12 } as const;
    for (const line of log.filter(({ event }) => event === 'step') as unknown as StepEvent[]) {
      const since = losses.slice(line.step - 4, line.step);
      expect(line.loss).toBeCloseTo(since.reduce((a, b) => a + b) / 4, 12);
      expect(line.learningRate).toBe(learningRateAt(schedule, line.step - 1));
    }
  });

  test('tells of pruning, of the plan before the first step, of saves, and of its end', () => {
    const kinds = result.events.map(({ event }) => event);
    expect(kinds.slice(0, 6)).toEqual(['prune', 'prune', 'prune', 'prune', 'prune', 'start']);
    expect(kinds.filter((kind) => kind === 'progress')).toHaveLength(12);
    expect(result.events.flatMap((e) => (e.event === 'save' ? [e.step] : []))).toEqual([5, 10, 12]);
    expect(result.events.at(-1)).toMatchObject({ event: 'done', step: 12, interrupted: false, out });
    expect(result.events.find((e) => e.event === 'start')).toMatchObject({
      method: 'lors',
      trainDocuments: 40,
      validDocuments: 4,
      firstStep: 0,
    });
  });

  test('recovers perplexity that pruning cost; await evaluate() of base and adapter is what the run measured', async () => {
    const options = { data: join(data, 'valid.jsonl'), maxSeqLength: 64 };
    const dense = (await evaluate({ ...options, model: STORIES })).perplexity;
    const pruned = (await evaluate({ ...options, model: join(out, 'pruned') })).perplexity;
    const tuned = (await evaluate({ ...options, model: join(out, 'pruned'), adapter: out })).perplexity;
    expect(pruned).toBeGreaterThan(dense);
    expect(tuned).toBeLessThan(pruned / 2);
    // The same tokens in other batches: sums in another order, each token's loss within an f32 rounding or few.
    expect(result.perplexity).toBeCloseTo(tuned, 4);
  });
});
