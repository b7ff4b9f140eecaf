/** A session: programs laid out in one arena, their constants written, ready to run. */
import { MemoryBudgetError } from '../core/errors.ts';
import { instantiateKernels } from '../kernels/load.ts';
import type { Fetch, Step } from '../program/encode.ts';
import { encode, nameOf } from '../program/encode.ts';
import type { Layout } from '../program/layout.ts';
import { layOut } from '../program/layout.ts';
import type { Counts, Program } from '../program/program.ts';
import { touched } from '../program/program.ts';
import type { Ref, Value } from '../program/value.ts';
import { offsetOf, valueOf } from '../program/value.ts';
import { ADDRESS_SPACE, Arena } from './arena.ts';
import { fetchNow } from './fetch.ts';
import { run } from './run.ts';

/** Where programs run: what opens sessions, and what would fit. */
export interface Sessions {
  open(programs: readonly Program[]): Session;
  /** Whether the plan of these programs is small enough to be opened. */
  fits(programs: readonly Program[]): boolean;
}

export interface SessionOptions {
  /** A compiled kernel module of any flavour, for the kind of memory that the arena has. */
  readonly module: WebAssembly.Module;
  /** Where weights may stand already; a new one when absent. */
  readonly arena?: Arena;
  /** Most bytes that the arena may take; refused up front. The address space ends at 4 GiB. */
  readonly memoryBytes?: number | undefined;
}

/** The layout of programs for so many workers, and the most bytes that it may have. */
export function planOf(programs: readonly Program[], options: SessionOptions, workers: number): { layout: Layout; most: number } {
  return { layout: layOut(programs, workers, options.arena), most: Math.min(options.memoryBytes ?? ADDRESS_SPACE, ADDRESS_SPACE) };
}

export interface EncodedProgram {
  readonly steps: readonly Step[];
  readonly fetches: readonly Fetch[];
}

/** The host's side of a session: where everything stands, and how it is read and written. */
export abstract class Session {
  readonly layout: Layout;
  /** Bytes of the arena that nothing has been written to when the session is opened: not resident yet. */
  readonly untouched: number;
  protected readonly module: WebAssembly.Module;
  protected readonly arena: Arena;
  protected readonly encoded: ReadonlyMap<string, EncodedProgram>;
  readonly #programs: ReadonlyMap<string, Program>;

  /** Throws MemoryBudgetError where the plan is larger than it may be. */
  constructor(programs: readonly Program[], options: SessionOptions, workers: number, shared: boolean) {
    this.module = options.module;
    this.arena = options.arena ?? new Arena(shared);
    const { layout, most } = planOf(programs, { ...options, arena: this.arena }, workers);
    this.layout = layout;
    if (layout.bytes > most) {
      throw new MemoryBudgetError(
        `memory: the plan needs ${megabytes(layout.bytes)} (${describe(layout)}), but it may have ${megabytes(most)}. ` +
          'Fewer tokens a batch, a shorter --max-seq-length or --recompute auto need less.',
      );
    }
    const fresh = this.arena.lend(layout.bytes);
    this.untouched = layout.bytes - fresh;
    this.#programs = new Map(programs.map((program) => [program.name, program]));
    this.encoded = new Map(programs.map((program) => [program.name, encode(program, this.layout)]));
    for (const [value, address] of this.layout.offsets) {
      const { data, source, bytes } = value;
      if (source) source(this.floats(value));
      else if (ArrayBuffer.isView(data) && this.arena.addressOf(data) === undefined) this.arena.write(address, data);
      else continue;
      this.untouched -= Math.max(0, address + bytes - Math.max(address, fresh));
    }
  }

  /** Resolves when all that run is there. */
  abstract ready(): void | Promise<void>;

  /** Runs a program to its end. One at a time. */
  abstract run(name: string, counts: Counts): void | Promise<void>;

  /** Gives threads back. The session cannot run any more; what it computed can be read. */
  abstract close(): void | Promise<void>;

  /**
   * Runs a program step by step, on the host alone, and says where the first value that is not finite was written, as
   * `op 41 spmmQuad (layers.3.mlp.up_proj)`; undefined where all are finite. For a loss that stopped being a number.
   */
  findNonFinite(name: string, counts: Counts): string | undefined {
    const { steps, fetches } = this.program(name);
    const { ops } = this.#programs.get(name)!;
    const kernels = instantiateKernels(this.module, this.arena.memory);
    // What earlier runs left beyond this batch's tiles must not be taken for something that this run wrote.
    this.arena.bytes(this.layout.bytes - this.layout.activations, this.layout.activations).fill(0);
    const walker = { ...ALONE, scratch: this.layout.scratch, stage: fetchNow(fetches, this.arena) };
    for (let i = 0; i < steps.length; i++) {
      run(steps.slice(i, i + 1), kernels, counts, walker);
      if ('stage' in ops[i]!) continue;
      for (const { value, written } of touched(ops[i]!)) {
        if (written && value.kind === 'activation' && !this.floats(value).every(Number.isFinite)) return `op ${i} ${nameOf(steps[i]!)}`;
      }
    }
    return undefined;
  }

  /** A live view of a value's floats. */
  floats(ref: Ref): Float32Array {
    return new Float32Array(this.arena.memory.buffer, this.#address(ref), (valueOf(ref).bytes - offsetOf(ref)) >> 2);
  }

  /** A live view of a value's f64s. */
  doubles(ref: Ref): Float64Array {
    return new Float64Array(this.arena.memory.buffer, this.#address(ref), (valueOf(ref).bytes - offsetOf(ref)) >> 3);
  }

  /** A live view of a value's words. */
  words(ref: Ref): Uint32Array {
    return new Uint32Array(this.arena.memory.buffer, this.#address(ref), (valueOf(ref).bytes - offsetOf(ref)) >> 2);
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
    this.arena.write(this.#address(ref), data);
  }

  protected program(name: string): EncodedProgram {
    const program = this.encoded.get(name);
    if (!program) throw new RangeError(`session: expected one of the programs ${[...this.encoded.keys()].join(', ')}, got ${name}.`);
    return program;
  }

  #address(ref: Ref): number {
    const base = this.layout.offsets.get(valueOf(ref));
    if (base === undefined) throw new RangeError(`${valueOf(ref).name}: no program of this session has it.`);
    return base + offsetOf(ref);
  }
}

/** A walker that does everything and waits for nobody. */
export const ALONE = {
  share: (units: number, take: (begin: number, end: number) => void): void => take(0, units),
  barrier: (): void => undefined,
} as const;

/** What a plan is made of, in words. */
export function describe(layout: Layout): string {
  const parts = Object.entries(layout.pinned).map(([kind, bytes]) => `${kind}s ${megabytes(bytes)}`);
  return [...parts, `activations ${megabytes(layout.activations)}`].join(', ');
}

/** Bytes as megabytes, for people. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}
