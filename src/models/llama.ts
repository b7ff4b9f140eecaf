/** Compiles a Llama into programs: forward, backward and loss over one set of values. */
import { FrozenLinear } from '../adapters/frozen.ts';
import { FullLinear } from '../adapters/full.ts';
import type { FactorTensors, Factors } from '../adapters/factors.ts';
import { addFactors, paddedRank } from '../adapters/factors.ts';
import type { AdapterMethod } from '../adapters/methods.ts';
import { ruleOf } from '../adapters/methods.ts';
import type { AdapterLayerOptions, RankSharing } from '../adapters/rule.ts';
import { WeightOps } from '../adapters/weightOps.ts';
import { Attention } from '../nn/attention.ts';
import type { ForwardContext, KeyValueCache } from '../nn/attention.ts';
import type { BatchInputs } from '../nn/batch.ts';
import { batchInputs } from '../nn/batch.ts';
import { Block, recomputeOf } from '../nn/block.ts';
import type { BlockSaved, Recomputed } from '../nn/block.ts';
import { Table } from '../nn/embedding.ts';
import { Head } from '../nn/head.ts';
import { Mlp } from '../nn/mlp.ts';
import { Norm } from '../nn/norm.ts';
import type { LinearLayer } from '../program/linear.ts';
import { ParameterStore } from '../program/parameters.ts';
import type { Program } from '../program/program.ts';
import { ProgramBuilder, perTile } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import { constant } from '../program/value.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import type { LlamaModel } from './model.ts';
import { EMBEDDING, FINAL_NORM, HEAD, normName, projectionName, rankGroup } from './names.ts';
import type { Projection } from './names.ts';
import { ropeTables } from './rope.ts';

/** What trains. */
export type Training =
  | { readonly method: 'none' }
  /** Every kept weight, the embedding, the head and the norms. */
  | { readonly method: 'full' }
  | AdapterTraining;

/** An adapter on some projections. */
export interface AdapterTraining extends AdapterLayerOptions {
  readonly method: AdapterMethod;
  readonly scaling: number;
  /** Initial factors of each adapted module, by module name. */
  readonly factors: ReadonlyMap<string, FactorTensors>;
  /** Runs with the first ranks alone, as many as the host says for each module or block; all of them when absent. */
  readonly elastic?: RankSharing | undefined;
}

export interface CompileOptions {
  /** Tiles of 16 tokens that a batch may have. */
  readonly tiles: number;
  /** Positions that rotary angles are there for. */
  readonly positions: number;
  readonly training?: Training;
  /** Whether gradients of batches add up. If not, they live from the backward pass until the program that runs next; true when absent. */
  readonly accumulates?: boolean | undefined;
  /** Wraps a linear layer, to observe what goes into it. */
  readonly wrap?: (layer: LinearLayer) => LinearLayer;
}

/** A model's layers over values, ready to emit programs that share them. */
export class CompiledLlama {
  readonly inputs: BatchInputs;
  /** Losses of labelled tokens, [label tiles][16]. */
  readonly losses: Value;
  readonly store: ParameterStore;
  readonly factors = new Map<string, Factors>();
  /** The gates of elastic factors (adapters/factors.ts), by the group that shares them. */
  readonly gates = new Map<string, Value>();
  readonly embedding: Table;
  readonly tiles: number;
  readonly #blocks: readonly Block[];
  readonly #norm: Norm;
  readonly #head: Head;
  readonly #cosTable: Value;
  readonly #sinTable: Value;
  readonly #model: LlamaModel;
  readonly #trains: boolean;
  readonly #trainsBelow: boolean;

  constructor(model: LlamaModel, options: CompileOptions) {
    const { config } = model;
    const training = options.training ?? { method: 'none' };
    this.store = new ParameterStore(options.accumulates === false);
    const everything = training.method === 'full' ? this.store : undefined;
    this.#model = model;
    this.#trains = training.method !== 'none';
    this.#trainsBelow = everything !== undefined;
    this.tiles = options.tiles;
    this.inputs = batchInputs(options.tiles);
    this.losses = { name: 'losses', bytes: options.tiles * 64, kind: 'output' };
    const tables = ropeTables(config, options.positions);
    this.#cosTable = constant('cos', tables.cos);
    this.#sinTable = constant('sin', tables.sin);
    this.embedding = new Table(EMBEDDING, model.embedding, everything);
    const linear = (layer: number, projection: Projection): LinearLayer => {
      const name = projectionName(layer, projection);
      const built = this.#linear(name, model.linears.get(name)!, training);
      return options.wrap ? options.wrap(built) : built;
    };
    const norm = (name: string): Norm => {
      const gain = model.gains.get(name)!.values;
      return new Norm(
        name,
        everything ? everything.plain.add(name, gain.length, (into) => into.set(gain)) : gain,
        gain.length,
        config.rmsNormEps,
      );
    };
    this.#blocks = Array.from({ length: config.layers }, (_, layer) => {
      this.store.nextPart();
      const [q_proj, k_proj, v_proj, o_proj] = [
        linear(layer, 'q_proj'),
        linear(layer, 'k_proj'),
        linear(layer, 'v_proj'),
        linear(layer, 'o_proj'),
      ];
      const [gate_proj, up_proj, down_proj] = [linear(layer, 'gate_proj'), linear(layer, 'up_proj'), linear(layer, 'down_proj')];
      return new Block(
        norm(normName(layer, 'input_layernorm')),
        new Attention({ q_proj, k_proj, v_proj, o_proj }, config),
        norm(normName(layer, 'post_attention_layernorm')),
        new Mlp({ gate_proj, up_proj, down_proj }),
      );
    });
    this.store.nextPart();
    this.#norm = norm(FINAL_NORM);
    this.#head = new Head(model.head ? new Table(HEAD, model.head, everything) : this.embedding, this.inputs);
  }

  /** Losses and the gradients of all parameters, added to what is there unless the model was compiled not to accumulate. */
  train(recomputed: Recomputed = { blocks: 0, mlps: 0 }): Program {
    const b = new ProgramBuilder('train', this.tiles);
    const context = this.#context(b);
    let x = this.#embed(b);
    const saved: BlockSaved[] = [];
    this.#blocks.forEach((block, i) => {
      const recompute = recomputeOf(recomputed, i);
      const done = b.within(`layers.${i}`, () => block.forward(b, x, context, { recompute }));
      saved.push(done.saved);
      x = done.y;
    });
    const { y, rstd } = b.within('norm', () => this.#norm.forward(b, x));
    const dNormed = b.activation('dnormed', this.#model.config.hiddenSize);
    b.within('lm_head', () => this.#head.lossesAndGradient(b, this.losses, dNormed, y));
    let dx: Value | undefined = b.activation('dx', this.#model.config.hiddenSize);
    b.within('norm', () => this.#norm.backward(b, dx!, 0, dNormed, x, rstd));
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      const wantDx = i > 0 || this.#trainsBelow;
      // The first block's input is looked up again, as it would be kept longest.
      const from = i > 0 ? saved[i]! : { ...saved[i]!, x: this.#embed(b) };
      dx = b.within(`layers.${i} backward`, () => this.#blocks[i]!.backward(b, dx!, from, context, wantDx));
    }
    if (dx) this.embedding.backward(b, dx, this.inputs.ids);
    return b.finish((ops) => this.store.startGradients(ops));
  }

  /** Losses alone. */
  evaluate(): Program {
    const b = new ProgramBuilder('evaluate', this.tiles);
    const y = this.#forward(b);
    b.within('lm_head', () => this.#head.losses(b, this.losses, y));
    return b.finish();
  }

  /** Logits of the first tile of labelled tokens, [1][V][16]; with caches, one a layer, tokens see what came before. */
  logits(logits: Value, caches?: readonly KeyValueCache[]): Program {
    const b = new ProgramBuilder('logits', this.tiles);
    const y = this.#forward(b, caches);
    b.within('lm_head', () => this.#head.logits(b, logits, y));
    return b.finish();
  }

  /**
   * Logits of the one token that the inputs begin with, [V]: a step of generation, with its own layout and kernels, over the
   * same weights and caches. For models without an adapter: one is merged into the weights before (tasks/generate.ts), as
   * LoRS would merge them anew for every token otherwise.
   */
  tokenLogits(logits: Value, caches: readonly KeyValueCache[]): Program {
    if (this.#trains) throw new TypeError('tokenLogits: expected a model that does not train.');
    const b = new ProgramBuilder('tokenLogits', 'one token');
    const y = this.#forward(b, caches);
    b.within('lm_head', () => this.#head.logits(b, logits, y));
    return b.finish();
  }

  /** y = embedding of the ids: the input of the first block. */
  embed(y: Value): Program {
    const b = new ProgramBuilder('embed', this.tiles);
    this.embedding.forward(b, y, this.inputs.ids);
    return b.finish();
  }

  /** One block alone: y = block(x). */
  block(layer: number, y: Value, x: Value): Program {
    const b = new ProgramBuilder('block', this.tiles);
    const context = this.#context(b);
    b.within(`layers.${layer}`, () => this.#blocks[layer]!.forward(b, x, context, { recompute: 'block', y }));
    return b.finish();
  }

  #forward(b: ProgramBuilder, caches?: readonly KeyValueCache[]): Value {
    const context = this.#context(b);
    let x = this.#embed(b);
    this.#blocks.forEach((block, i) => {
      x = b.within(`layers.${i}`, () => block.forward(b, x, context, { recompute: 'block', cache: caches?.[i] }).y);
    });
    return b.within('norm', () => this.#norm.forward(b, x)).y;
  }

  #embed(b: ProgramBuilder): Value {
    return b.within('embed_tokens', () => {
      const x = b.activation('x', this.#model.config.hiddenSize);
      this.embedding.forward(b, x, this.inputs.ids);
      return x;
    });
  }

  #context(b: ProgramBuilder): ForwardContext {
    if (b.oneToken) return { inputs: this.inputs, cos: this.#cosTable, sin: this.#sinTable };
    const half = this.#model.config.headDim / 2;
    const cos = b.activation('cos', half);
    const sin = b.activation('sin', half);
    b.emit('ropeAngles', perTile(), {
      cos,
      sin,
      cosTable: this.#cosTable,
      sinTable: this.#sinTable,
      positions: this.inputs.positions,
      half,
    });
    return { inputs: this.inputs, cos, sin };
  }

  #linear(name: string, weight: PackedWeight, training: Training): LinearLayer {
    if (training.method === 'full') return new FullLinear(this.store, name, weight);
    const initial = training.method === 'none' ? undefined : training.factors.get(name);
    const ops = new WeightOps(name, weight);
    if (!initial || training.method === 'none') return new FrozenLinear(name, ops);
    const { upShape, linear } = ruleOf(training.method);
    const gate = training.elastic && this.#gate(rankGroup(name, training.elastic), paddedRank(initial.rank));
    const factors = addFactors(this.store, name, weight.cols, weight.rows, training.scaling, initial, { upShape, gate });
    this.factors.set(name, factors);
    return linear(name, ops, factors, training);
  }

  #gate(group: string, padded: number): Value {
    const gate = this.gates.get(group) ?? { name: `${group} gate`, bytes: padded * 4, kind: 'input' };
    this.gates.set(group, gate);
    return gate;
  }
}
