/** What calibration tells of a layer's inputs, against sums in f64. */
import { expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { kernelModule } from '../../src/io/kernelModule.ts';
import type { Sequence } from '../../src/models/batch.ts';
import { Calibration } from '../../src/prune/calibrate.ts';
import { localSessions } from '../../src/runtime/local.ts';
import { unpack } from '../../src/sparse/pack.ts';
import { tinyModel } from '../gradients/tinyLlama.ts';
import { eachFlavour } from '../kernels/harness.ts';

const model = tinyModel('dense', { vocabulary: 50 });
const { hiddenSize, vocabSize, rmsNormEps } = model.config;
const random = new Random(1);
/** 77 windows of 29 input tokens: two batches, neither of whole tiles. Prompts count as inputs like the rest. */
const sequences: Sequence[] = Array.from({ length: 77 }, (_, i) => {
  const ids = Int32Array.from({ length: 30 }, () => random.below(vocabSize));
  return i % 3 ? { ids } : { ids, targets: Uint8Array.from(ids, (_, t) => +(t > 20)) };
});
const TOKENS = 77 * 29;

/** The inputs of the first block's q, k and v: what the norm makes of each token's embedding. */
function normed(): Float64Array[] {
  const table = unpack(model.embedding, model.embedding.values);
  const gain = model.gains.get('model.layers.0.input_layernorm')!.values;
  return sequences.flatMap(({ ids }) =>
    Array.from(ids.subarray(0, -1), (id) => {
      const x = Float64Array.from(table.subarray(id * hiddenSize, (id + 1) * hiddenSize));
      const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / hiddenSize + rmsNormEps);
      return x.map((v, i) => v * scale * gain[i]!);
    }),
  );
}

eachFlavour((flavour) => {
  const sessions = localSessions({ module: kernelModule(flavour).module });
  const inputs = normed();
  // Each token's products are rounded a few times by the norm, and once for each tile and batch that they are added up with: a
  // token that should not be there would weigh 1 / 2233 of the sum.
  const bound = (TOKENS / 16 + 30) * 2 ** -24;

  test('norms that are no numbers are refused with the module, before any pruner compares them', async () => {
    const name = 'model.layers.0.input_layernorm';
    const gain = model.gains.get(name)!;
    const broken = { ...model, gains: new Map([...model.gains, [name, { ...gain, values: gain.values.map(() => NaN) }]]) };
    const norms = Calibration.start(broken, sequences, sessions).then((run) => run.inputNorms(broken, 0));
    await expect(norms).rejects.toThrow(/calibration: model\.layers\.0\.self_attn\.\w_proj: expected finite activations, got NaN/);
  });

  test('products: X X of the tokens that there are, nothing of the padding', async () => {
    const products = await (await Calibration.start(model, sequences, sessions)).inputProducts(model, 0);
    const { cols, tokens, sums } = products.get('model.layers.0.self_attn.q_proj')!;
    expect({ cols, tokens }).toEqual({ cols: hiddenSize, tokens: TOKENS });
    for (let r = 0; r < cols; r++) {
      for (let c = 0; c < cols; c++) {
        const [sum, size] = inputs.reduce(([s, a], x) => [s + x[r]! * x[c]!, a + Math.abs(x[r]! * x[c]!)], [0, 0]);
        expect(Math.abs(sums[(r >> 2) * cols * 4 + (r & 3) + c * 4]! - sum), `[${r}, ${c}]`).toBeLessThanOrEqual(bound * size);
      }
    }
  });

  test('norms: the roots of their diagonals, in every layer of both blocks', async () => {
    const run = await Calibration.start(model, sequences, sessions);
    for (const layer of [0, 1]) {
      const [norms, products] = [await run.inputNorms(model, layer), await run.inputProducts(model, layer)];
      expect([...norms.keys()]).toEqual([...model.linears.keys()].filter((name) => name.includes(`layers.${layer}.`)));
      expect([...products.keys()]).toEqual([...norms.keys()]);
      for (const [name, ofInputs] of norms) {
        const { cols, sums } = products.get(name)!;
        expect(ofInputs).toHaveLength(cols);
        ofInputs.forEach((norm, c) => {
          const product = sums[(c >> 2) * cols * 4 + (c & 3) + c * 4]!;
          expect(Math.abs(product / norm ** 2 - 1), `${name} ${c}`).toBeLessThanOrEqual(bound);
        });
      }
      await run.advance(model, layer);
    }
  });

  test('layers with the same inputs share one sum', async () => {
    const products = await (await Calibration.start(model, sequences, sessions)).inputProducts(model, 1);
    const of = (name: string): unknown => products.get(`model.layers.1.${name}`);
    expect(of('self_attn.k_proj')).toBe(of('self_attn.q_proj'));
    expect(of('self_attn.v_proj')).toBe(of('self_attn.q_proj'));
    expect(of('mlp.up_proj')).toBe(of('mlp.gate_proj'));
    expect(new Set(products.values()).size).toBe(4);
  });
});
