/** The embedding table and the head that may share it, [V, hidden], in dense panels: one copy serves both. */
import type { WeightDtype } from '../core/dtypes.ts';
import { decodeWeights } from '../core/dtypes.ts';
import { DTYPE_CODE } from '../kernels/table.ts';
import type { Parameter, ParameterStore } from '../program/parameters.ts';
import type { ProgramBuilder } from '../program/program.ts';
import { perTile } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { constant } from '../program/value.ts';
import type { DenseWeight } from '../sparse/weight.ts';

export class Table {
  readonly name: string;
  readonly vocabulary: number;
  readonly features: number;
  readonly dtype: WeightDtype;
  readonly values: Ref;
  readonly parameter: Parameter | undefined;

  /** The table is a constant, or trains in f32 where a store is given. */
  constructor(name: string, weight: DenseWeight, store?: ParameterStore) {
    this.name = name;
    this.vocabulary = weight.rows;
    this.features = weight.cols;
    this.parameter = store?.decayed.add(name, weight.values.length, (into) => into.set(decodeWeights(weight.dtype, weight.values)));
    this.dtype = this.parameter ? 'F32' : weight.dtype;
    this.values = this.parameter ? this.parameter.value : constant(name, weight.values);
  }

  /** x = table[ids]. */
  forward(b: ProgramBuilder, x: Value, ids: Value): void {
    const args = { x, table: this.values, dtype: DTYPE_CODE[this.dtype], ids, K: this.features };
    if (b.oneToken) b.emit('embedToken', this.features, args);
    else b.emit('embed', perTile(), args);
  }

  /** The gradient of the looked-up rows, where the table trains. */
  backward(b: ProgramBuilder, dx: Value, ids: Value): void {
    if (this.parameter) b.emit('embedGrad', this.features, { dTable: this.parameter.gradient, dx, ids, K: this.features });
  }
}
