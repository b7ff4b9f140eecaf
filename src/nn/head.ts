/**
 * The head and the loss, for labelled tokens only and a chunk of them at a time, so that the logits of all tokens never
 * exist at once. The loss is the last thing that a step computes, so each chunk's gradient follows at once.
 */
import { DTYPE_BYTES } from '../core/dtypes.ts';
import { DTYPE_CODE } from '../kernels/table.ts';
import type { PerTile, ProgramBuilder } from '../program/program.ts';
import { denseUnits, perLabelTile, perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { at } from '../program/value.ts';
import type { BatchInputs } from './batch.ts';
import type { Table } from './embedding.ts';

/**
 * What the logits that exist at once may take, and the fewest tiles of them. The weights of the head come from memory once for each
 * chunk: 128 tokens at a time are 6 % faster than 64 at 49152 x 576, 256 another 2 %.
 */
const CHUNK_BYTES = 2 ** 25;
const FEWEST_TILES = 4;
/** Rows of a head stored in 16 bits that are unpacked at once. */
const BAND_ROWS = 2048;

export class Head {
  readonly #table: Table;
  readonly #inputs: BatchInputs;

  constructor(table: Table, inputs: BatchInputs) {
    this.#table = table;
    this.#inputs = inputs;
  }

  /** Losses of labelled tokens, compact: [label tiles][16]. */
  losses(b: ProgramBuilder, losses: Value, x: Value): void {
    this.#chunks(b, x, (skip, units, _labelled, logits) => {
      b.emit('crossEntropy', units, {
        loss: at(losses, skip * 64),
        logits,
        labels: at(this.#inputs.labels, skip * 64),
        V: this.#table.vocabulary,
      });
    });
  }

  /** Losses as above, the gradient of x, and that of the table where it trains. */
  lossesAndGradient(b: ProgramBuilder, losses: Value, dx: Value, x: Value): void {
    const { vocabulary: V, features: K, parameter } = this.#table;
    const dLabelled = b.activation('dlabelled', K);
    this.#chunks(b, x, (skip, units, labelled, logits) => {
      const labels = at(this.#inputs.labels, skip * 64);
      b.emit('crossEntropyBackward', units, { loss: at(losses, skip * 64), logits, labels, scale: this.#inputs.lossScale, V });
      const out = at(dLabelled, skip * K * 64);
      this.#bands(b, (row, rows, w) => {
        const args = { dx: out, init: row ? out : 0, dy: at(logits, row * 64), w, features: V, M: rows, K, tiles: units } as const;
        b.emit('gemmT', denseUnits(units, K), args);
      });
      if (parameter) {
        const dw = parameter.gradient;
        b.emit('sddmmDense', Math.ceil(V / 4), { dw, init: dw, dy: logits, x: labelled, features: V, M: V, K, tiles: units });
      }
    });
    b.emit('gatherTokens', perTile(), { y: dx, x: dLabelled, slots: this.#inputs.labelPlaces, K });
  }

  /** Logits of the first tile of labelled tokens, [1][V][16]; [V] of one token. */
  logits(b: ProgramBuilder, logits: Value, x: Value): void {
    const { vocabulary: M, features: K, dtype, values } = this.#table;
    if (b.oneToken) b.emit('gemv', Math.ceil(M / 4), { y: logits, init: 0, x, values, dtype: DTYPE_CODE[dtype], M, K });
    else this.#chunk(b, x, 0, 1, logits);
  }

  #chunks(b: ProgramBuilder, x: Value, each: (skip: number, units: PerTile, labelled: Value, logits: Value) => void): void {
    const { vocabulary: V } = this.#table;
    const chunks = Math.ceil(b.tiles / Math.max(FEWEST_TILES, Math.floor(CHUNK_BYTES / (V * 64))));
    for (let chunk = 0; chunk < chunks; chunk++) {
      const skip = Math.floor((b.tiles * chunk) / chunks);
      const most = Math.floor((b.tiles * (chunk + 1)) / chunks) - skip;
      const logits = b.activation('logits', V, most);
      each(skip, perLabelTile(skip, most), this.#chunk(b, x, skip, most, logits), logits);
    }
  }

  /** Gathers a chunk's labelled tokens and multiplies; returns the gathered tokens. */
  #chunk(b: ProgramBuilder, x: Value, skip: number, most: number, logits: Value): Value {
    const { vocabulary: V, features: K } = this.#table;
    const units = perLabelTile(skip, most);
    const labelled = b.activation('labelled', K, most);
    b.emit('gatherTokens', units, { y: labelled, x, slots: at(this.#inputs.labelSlots, skip * 64), K });
    this.#bands(b, (row, rows, w) => {
      const args = { y: at(logits, row * 64), init: 0, x: labelled, w, features: V, M: rows, K, tiles: units } as const;
      b.emit('gemm', denseUnits(units, rows), args);
    });
    return labelled;
  }

  /** Calls back with f32 weights for runs of rows: all at once where they are f32, else unpacked a band at a time. */
  #bands(b: ProgramBuilder, each: (row: number, rows: number, w: Ref) => void): void {
    const { vocabulary: V, features: K, dtype, values } = this.#table;
    if (dtype === 'F32') {
      each(0, V, values);
      return;
    }
    for (let row = 0; row < V; row += BAND_ROWS) {
      const rows = Math.min(BAND_ROWS, V - row);
      const panels = Math.ceil(rows / 4);
      const merged = b.scratch('head band', panels * 4 * K * 4);
      const band = { values: at(values, row * K * DTYPE_BYTES[dtype]), dtype: DTYPE_CODE[dtype], M: rows, K };
      b.emit('mergeDense', panels, { merged, ...band, up: 0, downT: 0, rank: 0, scaling: 1 });
      each(row, rows, merged);
    }
  }
}
