/**
 * A sketch of the gradient of each linear layer's dense weight, G = dY' X over all tokens and batches, [out, in]. G never
 * exists: it is multiplied by k columns, from one side or the other, by products of the tokens with those columns.
 *
 *   side `right`   left += G right = dY' (X right)
 *   side `left`    right += G' left = X' (dY left)
 *
 * left is [out][k], right is [in][k]: (in + out) k floats a layer, and no more. LoRS's factor gradients (lowRank.ts) are the
 * same products, of the factors.
 */
import type { LinearLayer } from '../program/linear.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';

export type Side = 'left' | 'right';

/** The columns of one layer, where they stand in the arena. */
export interface SketchedLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** k, a multiple of 4. */
  readonly columns: number;
  readonly left: Value;
  readonly right: Value;
}

/** Wraps the layers of one compiled model: programs emitted while `side` is set multiply from that side. */
export class GradientSketch {
  side: Side = 'right';
  readonly layers = new Map<string, SketchedLayer>();
  readonly #columnsOf: (layer: LinearLayer) => number;

  /** `columnsOf` says how many columns a layer's sketch has; 0 for a layer that is none of its business. */
  constructor(columnsOf: (layer: LinearLayer) => number) {
    this.#columnsOf = columnsOf;
  }

  wrap(inner: LinearLayer): LinearLayer {
    const { name, inFeatures, outFeatures } = inner;
    const columns = this.#columnsOf(inner);
    if (columns === 0) return inner;
    const side = (what: Side, features: number): Value => ({ name: `${name} ${what}`, bytes: features * columns * 4, kind: 'state' });
    const layer = { inFeatures, outFeatures, columns, left: side('left', outFeatures), right: side('right', inFeatures) };
    this.layers.set(name, layer);
    return {
      name,
      inFeatures,
      outFeatures,
      forward: (b: ProgramBuilder, y: Value, init: Ref | 0, x: Value): void => inner.forward(b, y, init, x),
      backward: (b: ProgramBuilder, dx: Value | undefined, init: Ref | 0, dy: Value, x: Value): void => {
        if (this.side === 'right') emitProduct(b, layer.left, dy, outFeatures, layer.right, x, inFeatures, columns);
        else emitProduct(b, layer.right, x, inFeatures, layer.left, dy, outFeatures, columns);
        inner.backward(b, dx, init, dy, x);
      },
    };
  }
}

/** product += a (b' columns), summed over tokens: a is [tiles][M][16], b is [tiles][N][16]. */
function emitProduct(p: ProgramBuilder, product: Value, a: Value, M: number, columns: Value, b: Value, N: number, k: number): void {
  const z = p.activation('columns of tokens', k);
  p.emit('project', perTile(), { z, x: b, factor: columns, N, rank: k, scaling: 1 });
  p.emit('factorGrad', M, { dFactor: product, dy: a, z, N: M, rank: k, scaling: 1 });
}
