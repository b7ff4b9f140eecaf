/** A session: programs laid out in one arena, their weights written, ready to run. One worker, local memory. */
import { MemoryBudgetError } from '../core/errors.ts';
import { createMemory, instantiateKernels } from '../kernels/load.ts';
import type { Kernels } from '../kernels/table.ts';
import type { Step } from '../program/encode.ts';
import { encode } from '../program/encode.ts';
import type { Layout } from '../program/layout.ts';
import { layOut } from '../program/layout.ts';
import type { Counts, Program } from '../program/program.ts';
import { touched } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { offsetOf, valueOf } from '../program/value.ts';
import { run } from './run.ts';

export interface SessionOptions {
  /** A compiled kernel module of any flavour. */
  readonly module: WebAssembly.Module;
  /** Most bytes that the arena may take; refused up front. The address space ends at 4 GiB. */
  readonly memoryBytes?: number;
}

const ADDRESS_SPACE = 2 ** 32 - 65536;

export class Session {
  readonly layout: Layout;
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  readonly #steps: ReadonlyMap<string, readonly Step[]>;
  readonly #programs: ReadonlyMap<string, Program>;

  constructor(programs: readonly Program[], options: SessionOptions) {
    this.layout = layOut(programs, 1);
    const most = Math.min(options.memoryBytes ?? ADDRESS_SPACE, ADDRESS_SPACE);
    if (this.layout.bytes > most) {
      throw new MemoryBudgetError(
        `memory: the plan needs ${megabytes(this.layout.bytes)} (${describe(this.layout)}), but it may have ${megabytes(most)}. ` +
          'Fewer tokens a batch, a shorter --max-seq-length or --recompute block need less.',
      );
    }
    this.#memory = createMemory(this.layout.bytes, false);
    this.#kernels = instantiateKernels(options.module, this.#memory);
    this.#programs = new Map(programs.map((program) => [program.name, program]));
    this.#steps = new Map(programs.map((program) => [program.name, encode(program, this.layout)]));
    for (const value of this.layout.offsets.keys()) {
      if (value.source) this.write(value, value.source());
    }
  }

  /** Runs a program to its end. */
  run(name: string, counts: Counts): void {
    run(this.#stepsOf(name), this.#kernels, counts, { me: 0, workers: 1, scratch: this.layout.scratch, barrier: () => undefined });
  }

  /**
   * Runs a program step by step and says where the first value that is not finite was written, as
   * `op 41 spmmQuad (layers.3.mlp.up_proj)`; undefined where all are finite. For a loss that stopped being a number.
   */
  findNonFinite(name: string, counts: Counts): string | undefined {
    const program = this.#programs.get(name)!;
    const steps = this.#stepsOf(name);
    // What earlier runs left beyond this batch's tiles must not be taken for something that this run wrote.
    new Uint8Array(this.#memory.buffer, this.layout.bytes - this.layout.activations, this.layout.activations).fill(0);
    for (let i = 0; i < steps.length; i++) {
      run(steps.slice(i, i + 1), this.#kernels, counts, { me: 0, workers: 1, scratch: this.layout.scratch, barrier: () => undefined });
      const op = program.ops[i]!;
      for (const { value, written } of touched(op)) {
        if (written && value.kind === 'activation' && !this.floats(value).every(Number.isFinite))
          return `op ${i} ${op.kernel} (${op.label})`;
      }
    }
    return undefined;
  }

  /** A live view of a value's floats. */
  floats(ref: Ref): Float32Array {
    return new Float32Array(this.#memory.buffer, this.#address(ref), (valueOf(ref).bytes - offsetOf(ref)) >> 2);
  }

  /** A live view of a value's f64s. */
  doubles(ref: Ref): Float64Array {
    return new Float64Array(this.#memory.buffer, this.#address(ref), (valueOf(ref).bytes - offsetOf(ref)) >> 3);
  }

  /** A live view of a value's words. */
  words(ref: Ref): Uint32Array {
    return new Uint32Array(this.#memory.buffer, this.#address(ref), (valueOf(ref).bytes - offsetOf(ref)) >> 2);
  }

  /** Whether a value is part of any program. */
  has(value: Value): boolean {
    return this.layout.offsets.has(value);
  }

  /** Copies bytes to where a value begins. */
  write(ref: Ref, data: ArrayBufferView): void {
    if (data.byteLength > valueOf(ref).bytes - offsetOf(ref)) {
      throw new RangeError(`${valueOf(ref).name}: expected at most ${valueOf(ref).bytes} bytes, got ${data.byteLength}.`);
    }
    new Uint8Array(this.#memory.buffer, this.#address(ref), data.byteLength).set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
  }

  #stepsOf(name: string): readonly Step[] {
    const steps = this.#steps.get(name);
    if (!steps) throw new RangeError(`session: expected one of the programs ${[...this.#steps.keys()].join(', ')}, got ${name}.`);
    return steps;
  }

  #address(ref: Ref): number {
    const base = this.layout.offsets.get(valueOf(ref));
    if (base === undefined) throw new RangeError(`${valueOf(ref).name}: no program of this session has it.`);
    return base + offsetOf(ref);
  }
}

/** What a plan is made of, in words. */
export function describe(layout: Layout): string {
  const parts = Object.entries(layout.pinned).map(([kind, bytes]) => `${kind}s ${megabytes(bytes)}`);
  return [...parts, `activations ${megabytes(layout.activations)} (${megabytes(layout.activationsUnshared)} unshared)`].join(', ');
}

/** Bytes as megabytes, for people. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}
