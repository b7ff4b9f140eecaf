/**
 * Calls a kernel, and its oracle, with named arguments: places arrays in a WebAssembly memory with guard bands around
 * them, runs the units in any shares, reads the outputs back and checks that nothing else changed. Driven by the
 * signature table, so that a test is its inputs and its claim.
 */
import { describe } from 'vitest';
import { readFileSync } from 'node:fs';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { createMemory, instantiateKernels, probeFlavour } from '../../src/kernels/load.ts';
import { callReference } from '../../src/kernels/reference/table.ts';
import type { OracleArgument } from '../../src/kernels/reference/table.ts';
import type { Flavour } from '../../src/core/flavour.ts';
import type { KernelName, Kernels } from '../../src/kernels/table.ts';
import { SCRATCH_BYTES } from '../../src/kernels/table.ts';
import type { SIGNATURES } from '../../src/program/signatures.ts';
import { CONSTRUCTORS, isPointer, kindOf, rolesOf, widened } from './elements.ts';
import type { Elements } from './elements.ts';

/**
 * By the parameter's role: an output's length (it starts as POISON) or its contents; a buffer; a number; or the name of
 * the argument that this one is the same buffer as.
 */
type ArgumentFor<R> = R extends 'out'
  ? number | Elements | string
  : R extends 'init' | 'maybe'
    ? Elements | string | 0
    : R extends 'in' | 'inout'
      ? Elements | string
      : number;
type Named<S> = { readonly [P in keyof S as S[P] extends 'scratch' ? never : P]: ArgumentFor<S[P]> };
export type CallArguments<K extends KernelName> = Named<(typeof SIGNATURES)[K]>;

/** What outputs hold before a kernel writes them. */
export const POISON = 12345;
const GUARD_BYTES = 128;
const GUARD = 0xa5;

/** Whether this Node's V8 widens relaxed multiply-adds. */
export const CAN_WIDEN = Number(process.versions.node.split('.')[0]) >= 24;

const FLAVOURS: readonly Flavour[] = ['plain', 'relaxed', ...(CAN_WIDEN ? (['wide'] as const) : [])];

/** The kernels of a flavour; where this host cannot widen the wide ones, as they are. */
export function moduleOf(flavour: Flavour): WebAssembly.Module {
  if (flavour !== 'wide' || CAN_WIDEN) return kernelModule(flavour).module;
  return new WebAssembly.Module(new Uint8Array(readFileSync(new URL('../../build/wide.wasm', import.meta.url))));
}

/** A suite for each flavour that this host can run. A missing one is skipped by name, and fails under CI. */
export function eachFlavour(suite: (flavour: Flavour) => void): void {
  for (const flavour of FLAVOURS) {
    const missing = flavour !== 'plain' && probeFlavour() !== 'relaxed';
    if (missing && process.env['CI'])
      throw new Error('This host does not validate relaxed SIMD: run vitest by its config, which passes the flag.');
    describe.skipIf(missing)(missing ? `${flavour} (skipped: this host does not validate relaxed SIMD)` : flavour, () => suite(flavour));
  }
}

interface Host {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
}

const hosts = new Map<Flavour, Host>();

function hostOf(flavour: Flavour): Host {
  let host = hosts.get(flavour);
  if (!host) {
    const memory = createMemory(1 << 20, false);
    host = { memory, kernels: instantiateKernels(moduleOf(flavour), memory) };
    hosts.set(flavour, host);
  }
  return host;
}

/** Runs of units that together are [0, units), in the order in which they run. */
export type Shares = readonly (readonly [begin: number, end: number])[];

export class KernelCall<K extends KernelName> {
  readonly kernel: K;
  readonly units: number;
  /** Buffers by parameter name, as they are before the call; one buffer may have several names. */
  readonly #buffers = new Map<string, Elements>();
  readonly #numbers = new Map<string, number>();
  #oracle: Map<string, Float64Array> | undefined;

  constructor(kernel: K, units: number, args: CallArguments<K>) {
    this.kernel = kernel;
    this.units = units;
    const given = args as Readonly<Record<string, Elements | string | number>>;
    const dtype = typeof given['dtype'] === 'number' ? given['dtype'] : 0;
    for (const [name, role] of rolesOf(kernel)) {
      const argument = given[name];
      if (argument === undefined || (argument === 0 && role !== 'out')) continue;
      if (!isPointer(role)) this.#numbers.set(name, argument as number);
      else if (typeof argument === 'number') this.#buffers.set(name, new CONSTRUCTORS[kindOf(kernel, name, dtype)](argument).fill(POISON));
      else if (typeof argument !== 'string') {
        const kind = kindOf(kernel, name, dtype);
        if (!(argument instanceof CONSTRUCTORS[kind]))
          throw new TypeError(`${kernel}: expected ${name} to be ${kind}, got ${argument.constructor.name}.`);
        this.#buffers.set(name, argument);
      }
    }
    for (const [name] of rolesOf(kernel)) {
      const argument = given[name];
      if (typeof argument === 'string') this.#buffers.set(name, this.#buffers.get(argument)!);
    }
  }

  /** What the oracle makes of the outputs, over all units. Computed once. */
  oracle(): ReadonlyMap<string, Float64Array> {
    return (this.#oracle ??= this.oracleOf(0, this.units));
  }

  /** The same over units [begin, end): what is not theirs stays as it was. */
  oracleOf(begin: number, end: number): Map<string, Float64Array> {
    const wide = new Map<Elements, Exclude<Elements, Float32Array>>();
    for (const data of this.#buffers.values()) wide.set(data, widened(data));
    const args = rolesOf(this.kernel).map(([name, role]): OracleArgument => {
      const data = this.#buffers.get(name);
      return data ? wide.get(data)! : isPointer(role) || role === 'scratch' ? null : (this.#numbers.get(name) ?? 0);
    });
    callReference(this.kernel, [...args, begin, end]);
    return new Map(this.#outputs().map((name) => [name, wide.get(this.#buffers.get(name)!) as Float64Array]));
  }

  /** The outputs of the compiled kernel. Throws where a guard band or an input changed. */
  run(flavour: Flavour, shares: Shares = [[0, this.units]]): ReadonlyMap<string, Elements> {
    const { memory, kernels } = hostOf(flavour);
    const unique = [...new Set(this.#buffers.values())];
    const addresses = new Map<Elements, number>();
    let end = GUARD_BYTES;
    for (const data of unique) {
      addresses.set(data, end);
      end += Math.ceil(data.byteLength / 64) * 64 + GUARD_BYTES;
    }
    const scratch = end;
    end += SCRATCH_BYTES + GUARD_BYTES;
    if (end > memory.buffer.byteLength) memory.grow(Math.ceil((end - memory.buffer.byteLength) / 65536));
    const bytes = new Uint8Array(memory.buffer, 0, end).fill(GUARD);
    for (const data of unique) bytes.set(bytesOf(data), addresses.get(data));
    const before = bytes.slice();
    const args = rolesOf(this.kernel).map(([name, role]) => {
      const data = this.#buffers.get(name);
      return data ? addresses.get(data)! : role === 'scratch' ? scratch : (this.#numbers.get(name) ?? 0);
    });
    // Kernels differ in how many numbers they take; the roles have matched them to the signature.
    const kernel: (...args: number[]) => void = kernels[this.kernel];
    for (const share of shares) kernel(...args, ...share);

    const outputs = new Map<string, Elements>();
    for (const name of this.#outputs()) {
      const data = this.#buffers.get(name)!;
      const address = addresses.get(data)!;
      const result = data.slice();
      bytesOf(result).set(bytes.subarray(address, address + data.byteLength));
      outputs.set(name, result);
    }
    // Outputs and scratch put back, every byte must be what it was.
    for (const name of this.#outputs()) {
      bytes.set(bytesOf(this.#buffers.get(name)!), addresses.get(this.#buffers.get(name)!));
    }
    bytes.fill(GUARD, scratch, scratch + SCRATCH_BYTES);
    const touched = Buffer.compare(bytes, before) === 0 ? -1 : bytes.findIndex((b, i) => b !== before[i]);
    if (touched >= 0) throw new Error(`${this.kernel} ${flavour}: wrote where it must not, ${this.#place(touched, addresses)}.`);
    return outputs;
  }

  #outputs(): string[] {
    return rolesOf(this.kernel).flatMap(([name, role]) => (role === 'out' || role === 'inout' ? [name] : []));
  }

  #place(address: number, addresses: ReadonlyMap<Elements, number>): string {
    for (const [name, data] of this.#buffers) {
      const at = address - addresses.get(data)!;
      if (at >= -GUARD_BYTES && at < data.byteLength + GUARD_BYTES) return `byte ${at} of ${name} (${data.byteLength} bytes)`;
    }
    return `byte ${address}`;
  }
}

function bytesOf(data: Elements): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Ways to share out units: as 1, 2 and 3 workers do, unevenly, with empty shares, and in the opposite order. */
export function splits(units: number): Shares[] {
  const cut = (...at: number[]): Shares => [0, ...at].map((begin, i): [number, number] => [begin, at[i] ?? units]);
  const even = [cut(), cut(units >> 1), cut(Math.floor(units / 3), Math.floor((units * 2) / 3))];
  const uneven = units > 1 ? [cut(1), cut(units - 1), cut(0, units >> 1)] : [];
  const all = [...even, ...uneven];
  return [...all, ...all.slice(1).map((shares) => [...shares].reverse())];
}
