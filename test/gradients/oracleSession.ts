/** Runs programs by the f64 oracles: the same ops over arrays instead of addresses. Slow, and exact but for f64 rounding. */
import { callReference } from '../../src/kernels/reference/table.ts';
import type { OracleArgument } from '../../src/kernels/reference/table.ts';
import type { Argument, Counts, KernelOp, Program, Units } from '../../src/program/program.ts';
import { perTile, unitsIn } from '../../src/program/program.ts';
import type { Ref, Value } from '../../src/program/value.ts';
import { offsetOf, valueOf } from '../../src/program/value.ts';
import { CONSTRUCTORS, isPointer, kindOf, rolesOf, widened } from '../kernels/elements.ts';
import type { ElementKind, Elements } from '../kernels/elements.ts';

type Wide = Exclude<Elements, Float32Array>;

export class OracleSession {
  readonly #kinds = new Map<Value, ElementKind>();
  readonly #arrays = new Map<Value, Wide>();

  constructor(programs: readonly Program[]) {
    for (const program of programs)
      for (const op of kernelOps(program)) for (const { ref, kind } of references(op)) this.#place(valueOf(ref), kind);
  }

  /** Every value that the programs touch. */
  get values(): Iterable<Value> {
    return this.#arrays.keys();
  }

  /** A live view of a value's numbers. */
  floats(ref: Ref): Float64Array {
    return this.#view(ref) as Float64Array;
  }

  /** Copies the bytes of a compiled session's value. */
  write(value: Value, words: Uint32Array): void {
    const kind = this.#kinds.get(value)!;
    const Narrow = CONSTRUCTORS[kind];
    this.#arrays.get(value)!.set(new Narrow(words.buffer as ArrayBuffer, words.byteOffset, words.byteLength / Narrow.BYTES_PER_ELEMENT));
  }

  run(program: Program, counts: Counts): void {
    for (const op of kernelOps(program)) {
      const args = rolesOf(op.kernel).map(([name, role]): OracleArgument => {
        const argument = op.args[name];
        if (role === 'scratch') return null;
        if (role === 'tokens') return counts.tokens;
        if (role === 'tiles') return unitsIn((argument as Units | undefined) ?? perTile(), counts);
        if (!isPointer(role)) return argument as number;
        return argument === 0 ? null : this.#view(argument as Ref);
      });
      callReference(op.kernel, [...args, 0, unitsIn(op.units, counts)]);
    }
  }

  #place(value: Value, kind: ElementKind): void {
    if (this.#arrays.has(value)) return;
    const Narrow = CONSTRUCTORS[kind];
    this.#kinds.set(value, kind);
    const start = (value.data ?? new Narrow(value.bytes / Narrow.BYTES_PER_ELEMENT)) as Elements;
    value.source?.(start as Float32Array);
    this.#arrays.set(value, widened(start));
  }

  #view(ref: Ref): Wide {
    const value = valueOf(ref);
    return this.#arrays.get(value)!.subarray(offsetOf(ref) / CONSTRUCTORS[this.#kinds.get(value)!].BYTES_PER_ELEMENT);
  }
}

/** The oracles take every weight as it is: nothing is staged. */
function kernelOps(program: Program): readonly KernelOp[] {
  return program.ops.map((op) => {
    if ('stage' in op) throw new TypeError('oracle: expected no staged weights.');
    return op;
  });
}

function references(op: KernelOp): { ref: Ref; kind: ElementKind }[] {
  const dtype = typeof op.args['dtype'] === 'number' ? op.args['dtype'] : 0;
  return rolesOf(op.kernel).flatMap(([name, role]) => {
    const argument: Argument | undefined = op.args[name];
    return isPointer(role) && argument !== 0 ? [{ ref: argument as Ref, kind: kindOf(op.kernel, name, dtype) }] : [];
  });
}
