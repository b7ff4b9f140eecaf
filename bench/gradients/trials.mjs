// The gradients that are compared: the three that `--gradient` has, and trials that lost, made of the same kernels.
import { MergedLinear } from '../../dist/adapters/mergedLinear.js';
import { perTile } from '../../dist/program/program.js';
import { at } from '../../dist/program/value.js';
import { unpack } from '../../dist/sparse/pack.js';
import { pseudoInverse } from './algebra.mjs';
import { orthogonal, ratesApart, rotated } from './updates.mjs';

/**
 * @typedef {import('../../dist/program/program.js').ProgramBuilder} Builder
 * @typedef {import('../../dist/program/value.js').Value} Value
 * @typedef {import('../../dist/program/value.js').Ref} Ref
 * @typedef {import('../../dist/adapters/factors.js').Factors} Factors
 * @typedef {import('../../dist/adapters/weightOps.js').WeightOps} WeightOps
 * @typedef {import('../../dist/program/parameters.js').Parameter} Parameter
 */

/**
 * A trial. Its steps go round through `phases` programs; `emit` says what the gradient is in one of them, where it is none of
 * `--gradient`'s.
 * @typedef {object} Trial
 * @property {string} what
 * @property {'lors' | 'exact'} gradient
 * @property {number[]} [phases]  the program of each step of a round
 * @property {(context: Context) => void} [emit]
 * @property {() => import('./updates.mjs').Update} [update]  in place of AdamW
 *
 * @typedef {object} Context
 * @property {Builder} b
 * @property {WeightOps} ops
 * @property {Factors} factors
 * @property {Value} dy
 * @property {Value} x
 * @property {number} phase
 * @property {number} phases
 * @property {(gradient: import('../../dist/program/value.js').View) => Ref} correction  its place in what the gradients start from
 * @property {(bytes: number, fill: (out: Float32Array, read: (parameter: Parameter) => Float32Array) => void) => Ref} hosted
 *   a value that the host fills before each step
 */

/** A band of tiles, and what its tokens weigh in the reordered gradients. @typedef {{ skip: number, most: number, weight: number }} Band */

const ALL = { skip: 0, most: Infinity, weight: 1 };

/** The band of phase i of k. @param {Context} context */
function bandOf({ b, phase, phases }) {
  const [skip, end] = [Math.floor((b.tiles * phase) / phases), Math.floor((b.tiles * (phase + 1)) / phases)];
  return { skip, most: end - skip, weight: 1 };
}

/** @param {Factors} factors */
function valuesOf({ up, downT }) {
  return { up: up.value, downT: downT.value };
}

/** @param {Factors} factors */
function gradientsOf({ up, downT }) {
  return { up: up.gradient, downT: downT.gradient };
}

/** Where a band begins in an activation. @param {Value} value @param {Band} band @param {number} features */
function from(value, band, features) {
  return at(value, band.skip * features * 64);
}

/**
 * The exact gradients of a band, `weight` times. `through` stands in for the factors that they go through.
 * @param {Context} context @param {Band} band @param {{ up: Ref, downT: Ref }} [into] @param {{ up: Ref, downT: Ref }} [through]
 */
function exact({ b, ops, factors, dy, x }, band, into = gradientsOf(factors), through = valuesOf(factors)) {
  const { padded, scaling, inFeatures, outFeatures } = factors;
  // WeightOps emits for all tiles; the sampled product takes any number of them.
  const tiles = { ...perTile(), skip: band.skip, most: band.most };
  const banded = /** @type {Builder} */ (
    Object.assign(Object.create(b), {
      emit: (/** @type {'sddmmQuad'} */ kernel, /** @type {number} */ units, /** @type {any} */ args) =>
        b.emit(kernel, units, { ...args, tiles }),
    })
  );
  const h = b.scratch('sampled gradient', ops.length * 4);
  ops.sample(banded, h, 0, from(dy, band, outFeatures), from(x, band, inFeatures));
  ops.factorGradients(b, into.up, into.downT, h, through.up, through.downT, padded, scaling * band.weight);
}

/** The reordered gradients, tokens weighing what their band says. @param {Context} context @param {readonly Band[]} bands @param {Ref} [downThrough] */
function reordered({ b, factors, dy, x }, bands, downThrough = factors.downT.value) {
  const { up, downT, padded: rank, scaling, inFeatures, outFeatures } = factors;
  const [z, u] = [b.activation('down x', rank), b.activation("up' dy", rank)];
  const project = (
    /** @type {Value} */ to,
    /** @type {Value} */ source,
    /** @type {Ref} */ factor,
    /** @type {number} */ N,
    /** @type {number} */ s,
  ) => {
    for (const band of bands.filter(({ most }) => most > 0)) {
      const units = { ...perTile(), skip: band.skip, most: band.most };
      b.emit('project', units, { z: from(to, band, rank), x: from(source, band, N), factor, N, rank, scaling: s * band.weight });
    }
  };
  project(z, x, downThrough, inFeatures, 1);
  b.emit('factorGrad', outFeatures, { dFactor: up.gradient, dy, z, N: outFeatures, rank, scaling });
  project(u, dy, up.value, outFeatures, scaling);
  b.emit('factorGrad', inFeatures, { dFactor: downT.gradient, dy: x, z: u, N: inFeatures, rank, scaling: 1 });
}

/**
 * The reordered gradients with a matrix of rank one in the mask's place: the share of the rows that keep each input. (Rows of
 * Wanda's masks all keep the same.) @param {Context} context
 */
function columnShares(context) {
  const { ops, factors, hosted } = context;
  const { weight } = ops;
  const dense = unpack(weight, weight.values);
  const shares = new Float32Array(weight.cols);
  for (let i = 0; i < dense.length; i++) if (dense[i] !== 0) shares[i % weight.cols] += 1 / weight.rows;
  const { downT, padded } = factors;
  const through = hosted(downT.length * 4, (out, read) =>
    read(downT).forEach((d, i) => void (out[i] = d * shares[Math.floor(i / padded)])),
  );
  reordered(context, [ALL], through);
}

/**
 * The exact gradients through damped pseudo-inverses of the factors instead of their transposes, so that a step moves the product
 * alike however it is split (ScaledGD; for LoRA: arXiv 2402.02347). Made on the host: its time is not counted. @param {Context} context
 */
function throughPseudoInverses(context) {
  const { factors, hosted } = context;
  const through = (/** @type {Parameter} */ factor) =>
    hosted(factor.length * 4, (out, read) => out.set(pseudoInverse(read(factor), factors.padded, 0.01)));
  exact(context, ALL, undefined, { up: through(factors.up), downT: through(factors.downT) });
}

/** Steps of a round that take turns: 0, 1 ... k - 1. @param {number} k */
function inTurn(k) {
  return Array.from({ length: k }, (_, i) => i);
}

/** Program 0 once in k steps, 1 in the others. @param {number} k */
function onceIn(k) {
  return Array.from({ length: k }, (_, i) => Math.min(i, 1));
}

/** @param {number} k @returns {Trial} */
function exactOnceIn(k) {
  return {
    what: `exact in one step of ${k}, lors between`,
    gradient: 'exact',
    phases: onceIn(k),
    emit: (context) => (context.phase === 0 ? exact(context, ALL) : reordered(context, [ALL])),
  };
}

/** @param {number} k @returns {Trial} */
function staleCorrection(k) {
  return {
    what: `lors + what exact - lors was in the last of every ${k} steps`,
    gradient: 'exact',
    phases: onceIn(k),
    emit(context) {
      if (context.phase > 0) return reordered(context, [ALL]);
      const { factors, correction } = context;
      const [up, downT] = [correction(factors.up.gradient), correction(factors.downT.gradient)];
      exact(context, ALL);
      exact(context, ALL, { up, downT });
      // Less lors: the same products with the scaling turned round.
      const into = {
        ...factors,
        scaling: -factors.scaling,
        up: { ...factors.up, gradient: up },
        downT: { ...factors.downT, gradient: downT },
      };
      reordered({ ...context, factors: into }, [ALL]);
    },
  };
}

/** @param {number} k @returns {Trial} */
function controlVariate(k) {
  return {
    what: `lors + ${k} (exact - lors) of every ${k}th of the tokens in turn`,
    gradient: 'exact',
    phases: inTurn(k),
    emit(context) {
      const band = bandOf(context);
      const after = band.skip + band.most;
      exact(context, { ...band, weight: k });
      const rest = { skip: after, most: context.b.tiles - after, weight: 1 };
      reordered(context, [{ skip: 0, most: band.skip, weight: 1 }, { ...band, weight: 1 - k }, rest]);
    },
  };
}

/** @param {number} k @returns {Trial} */
function someTokens(k) {
  return {
    what: `exact of every ${k}th of the tokens in turn, ${k} times`,
    gradient: 'exact',
    phases: inTurn(k),
    emit: (context) => exact(context, { ...bandOf(context), weight: k }),
  };
}

/** By the name that the command takes. @type {Readonly<Record<string, Trial>>} */
export const TRIALS = {
  lors: { what: "the paper's: the mask left out", gradient: 'lors' },
  exact: { what: 'sampled on the mask', gradient: 'exact' },
  scaled: { what: 'exact, through pseudo-inverses', gradient: 'exact', emit: throughPseudoInverses },
  every2: exactOnceIn(2),
  every4: exactOnceIn(4),
  stale2: staleCorrection(2),
  stale4: staleCorrection(4),
  variate2: controlVariate(2),
  variate4: controlVariate(4),
  tokens2: someTokens(2),
  columns: { what: "lors with the inputs' shares of the mask", gradient: 'exact', emit: columnShares },
  rates4: { what: 'exact, rates of up and down 4 apart', gradient: 'exact', update: () => ratesApart(4) },
  muon: { what: 'exact, orthogonal momentum', gradient: 'exact', update: orthogonal },
  soap: { what: "exact, AdamW in the gradient's eigenbasis", gradient: 'exact', update: rotated },
};

/** A masked linear layer whose gradient is a trial's. */
export class TrialLinear extends MergedLinear {
  #emit;
  #rest;

  /**
   * @param {string} name @param {WeightOps} ops @param {Factors} factors @param {NonNullable<Trial['emit']>} emit
   * @param {() => Pick<Context, 'phase' | 'phases' | 'correction' | 'hosted'>} rest
   */
  constructor(name, ops, factors, emit, rest) {
    super(name, ops, factors);
    this.#emit = emit;
    this.#rest = rest;
  }

  /** @param {Builder} b */
  merged(b) {
    const { up, downT, padded, scaling } = this.factors;
    return this.ops.merged(b, up.value, downT.value, padded, scaling);
  }

  /** @param {Builder} b @param {Value} dy @param {Value} x */
  gradients(b, dy, x) {
    this.#emit({ b, ops: this.ops, factors: this.factors, dy, x, ...this.#rest() });
  }
}
