/**
 * The wide kernels: the relaxed ones in tiles of their own, compiled so that V8 pairs neighbouring 128-bit operations to 256-bit ones
 * (its flag --experimental-wasm-revectorize). Experimental in V8, so only on request, and only after they have given the bits of the
 * relaxed ones on a training step of every weight format.
 */
import { setFlagsFromString } from 'node:v8';
import { Random } from '../core/random.ts';
import { UnsupportedError, explain } from '../core/errors.ts';
import { LocalSession } from '../runtime/local.ts';
import { Arena } from '../runtime/arena.ts';
import type { Training } from '../models/llama.ts';
import { CompiledLlama } from '../models/llama.ts';
import { writeBatch } from '../models/batch.ts';
import { parseConfig } from '../models/config.ts';
import { initializeModel } from '../models/init.ts';
import type { LlamaModel } from '../models/model.ts';
import { pack, unpack } from '../sparse/pack.ts';
import type { PackedWeight } from '../sparse/weight.ts';

/** The first V8 that pairs relaxed multiply-adds too is that of Node 24. With that of Node 22 these kernels are slower than the relaxed. */
const FIRST_V8 = 13;

/** Compiles the bytes of the wide kernels. Throws UnsupportedError where this host cannot run them, or gives other results. */
export function compileWide(bytes: Uint8Array<ArrayBuffer>, relaxed: () => WebAssembly.Module, shared: boolean): WebAssembly.Module {
  const v8 = Number.parseInt(process.versions.v8);
  if (!(v8 >= FIRST_V8)) {
    throw new UnsupportedError(explain('--kernels wide', `V8 ${FIRST_V8} or later (Node 24)`, `V8 ${process.versions.v8}`));
  }
  // The relaxed kernels run first: what is compiled for them by now is not wide.
  const want = stepBits(relaxed(), shared);
  setFlagsFromString('--experimental-wasm-revectorize');
  // The optimizing compiler at once: what is checked is then what runs.
  setFlagsFromString('--no-liftoff');
  setFlagsFromString('--no-wasm-lazy-compilation');
  // Without the other compiler's counts of calls V8 14 (Node 26) ends the process where it would inline.
  setFlagsFromString('--no-wasm-inlining');
  try {
    const module = new WebAssembly.Module(bytes);
    const got = stepBits(module, shared);
    if (got.some((word, i) => word !== want[i])) {
      throw new UnsupportedError(
        explain(
          '--kernels wide',
          'the bits of the relaxed kernels in a training step',
          'others',
          'This V8 widens them wrongly: use --kernels auto.',
        ),
      );
    }
    return module;
  } finally {
    // What is compiled from now on, other modules and other flavours, is neither widened nor checked.
    setFlagsFromString('--no-experimental-wasm-revectorize');
    setFlagsFromString('--liftoff');
    setFlagsFromString('--wasm-lazy-compilation');
    setFlagsFromString('--wasm-inlining');
  }
}

/** Losses and gradients of steps of a small Llama whose weights have every format: all of it trains, and an adapter with either gradient. */
function stepBits(module: WebAssembly.Module, shared: boolean): number[] {
  const model = everyFormat();
  const random = new Random(4);
  const uniform = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.uniform() - 0.5);
  // Sixteen ranks have a loop of their own, and what is left over others.
  const rank = 20;
  const factors = new Map(
    Array.from(model.linears, ([name, { rows, cols }]) => [name, { rank, down: uniform(rank * cols), up: uniform(rows * rank) }]),
  );
  const trainings = [
    { method: 'full' },
    ...(['lors', 'exact'] as const).map((gradient) => ({ method: 'lors', gradient, scaling: 0.1, factors }) as const),
  ] as const;
  return trainings.flatMap((training) => bitsOf(model, training, module, shared));
}

function bitsOf(model: LlamaModel, training: Training, module: WebAssembly.Module, shared: boolean): number[] {
  const compiled = new CompiledLlama(model, { tiles: 3, positions: 48, training });
  const session = new LocalSession([compiled.train()], { module, arena: new Arena(shared) });
  const random = new Random(3);
  const ids = Int32Array.from({ length: 44 }, () => random.below(model.config.vocabSize));
  const counts = writeBatch(session, compiled.inputs, [{ ids }], model.config.vocabSize);
  session.floats(compiled.inputs.lossScale)[0] = 1 / counts.labelled;
  session.run('train', counts);
  return [compiled.losses, ...compiled.store.runs.map(({ gradients }) => gradients)].flatMap((value) => Array.from(session.words(value)));
}

function everyFormat(): LlamaModel {
  const config = parseConfig(
    {
      model_type: 'llama',
      // Not a multiple of a tile; and 512 inputs, whose dense panels are copied, with second blocks of quads and CSR.
      hidden_size: 72,
      intermediate_size: 512,
      num_hidden_layers: 8,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      vocab_size: 96,
      tie_word_embeddings: false,
    },
    'check',
  );
  const model = initializeModel(config, 1);
  const random = new Random(2);
  // A layer each: two of four, half, a tenth, dense, and blocks of 4x1, 16x1, 4x4 and 1x4.
  const inBlocks = (c: number, row: number): boolean => (c * 7 + row * 5) % 16 < 5;
  const masks = [
    (c: number, row: number) => ((c + row) & 3) < 2,
    () => random.uniform() < 0.5,
    () => random.uniform() < 0.1,
    () => true,
    (c: number, row: number) => inBlocks(c, row >> 2),
    (c: number, row: number) => inBlocks(c, row >> 4),
    (c: number, row: number) => inBlocks(c >> 2, row >> 2),
    (c: number, row: number) => inBlocks(c >> 2, row),
  ];
  const linears = new Map<string, PackedWeight>();
  for (const [name, weight] of model.linears) {
    const mask = masks[Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0)]!;
    const { rows, cols } = weight;
    const elements = unpack(weight, weight.values).map((v, i) => (mask(i % cols, Math.floor(i / cols)) ? v * 10 : 0));
    linears.set(name, pack('F32', elements, rows, cols));
  }
  return { ...model, linears };
}
