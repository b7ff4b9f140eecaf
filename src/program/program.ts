/** Programs: a flat list of ops over values. Who reads and writes what is in the signature of each op's kernel. */
import type { Constant } from '../core/constant.ts';
import type { KernelName } from '../kernels/table.ts';
import type { Ref, Value } from './value.ts';
import { valueOf } from './value.ts';
import type { SIGNATURES } from './signatures.ts';
import { SIGNATURES as signatures } from './signatures.ts';
import { stageWeights } from './stage.ts';

/** How many of something a batch has; known when the program runs. */
export interface Counts {
  /** Tokens, and the tiles that hold them. */
  readonly tokens: number;
  readonly tiles: number;
  /** Tokens that have a label, gathered for the head, and their tiles. */
  readonly labelled: number;
  readonly labelTiles: number;
}

/** So many units for each `band` tiles that there are, of a window of the tiles. */
export interface PerTile {
  readonly of: 'tiles' | 'labelTiles';
  readonly each: number;
  readonly band: number;
  readonly skip: number;
  readonly most: number;
}

/** The units that an op's work splits into. */
export type Units = number | PerTile;

/** `each` units for every tile, or for every `band` of them. */
export function perTile(each = 1, band = 1): PerTile {
  return { of: 'tiles', each, band, skip: 0, most: Infinity };
}

/** One unit for every tile of labelled tokens in the window [skip, skip + most). */
export function perLabelTile(skip = 0, most = Infinity): PerTile {
  return { of: 'labelTiles', each: 1, band: 1, skip, most };
}

/** The units of a dense product of these tiles: 32 of them by twelve rows, forward, or inputs, backward (assembly/dense.ts). */
export function denseUnits(tiles: PerTile, features: number): PerTile {
  return { ...tiles, each: Math.ceil(features / 12), band: 32 };
}

/** How many units an op has in this batch. */
export function unitsIn(units: Units, counts: Counts): number {
  if (typeof units === 'number') return units;
  return Math.ceil(Math.max(0, Math.min(units.most, counts[units.of] - units.skip)) / units.band) * units.each;
}

export type Argument = Ref | number | PerTile;

/** A kernel over values. */
export interface KernelOp {
  readonly kernel: KernelName;
  /** By parameter name. `tiles` is there where it is not all of them; `tokens` and `scratch` never are. */
  readonly args: Readonly<Record<string, Argument>>;
  readonly units: Units;
  /** Where in the model, for messages: `layers.3.mlp.up_proj`. */
  readonly label: string;
}

/** A staged weight on its way into the arena: `fetch` begins it, `arrive` waits until it is there. See stage.ts. */
export interface StageOp {
  readonly stage: 'fetch' | 'arrive';
  readonly parts: readonly StagedPart[];
  readonly label: string;
}

/** A constant and the activation that holds it from the fetch to the last use. */
export interface StagedPart {
  readonly from: Constant;
  readonly to: Value;
}

export type Op = KernelOp | StageOp;

export interface Program {
  readonly name: string;
  readonly ops: readonly Op[];
}

type Fields<S> = {
  [P in keyof S as S[P] extends 'tiles' | 'tokens' | 'scratch' ? never : P]: S[P] extends 'n'
    ? number
    : S[P] extends 'init' | 'maybe'
      ? Ref | 0
      : Ref;
} & { [P in keyof S as S[P] extends 'tiles' ? P : never]?: PerTile };

/** The named arguments of a kernel's op. A kernel that sums over tiles sums over all there are unless `tiles` says fewer. */
export type ArgumentsOf<K extends KernelName> = Fields<(typeof SIGNATURES)[K]>;

/** Cache lines that hold the features of one token: 16 f32 each. */
export function lines(features: number): number {
  return Math.ceil(features / 16);
}

/** Collects the ops of one program. */
export class ProgramBuilder {
  readonly #ops: KernelOp[] = [];
  readonly #name: string;
  /** Tiles that activations have room for. */
  readonly tiles: number;
  /** Activations are those of one token, features side by side, and layers emit the kernels for that. */
  readonly oneToken: boolean;
  readonly #kept = new Map<object, Value>();
  #scope = '';

  constructor(name: string, tiles: number | 'one token') {
    this.#name = name;
    this.oneToken = tiles === 'one token';
    this.tiles = tiles === 'one token' ? 1 : tiles;
  }

  /** Runs `emit` with ops and values labelled by `scope`. */
  within<T>(scope: string, emit: () => T): T {
    const outer = this.#scope;
    this.#scope = outer ? `${outer}.${scope}` : scope;
    const result = emit();
    this.#scope = outer;
    return result;
  }

  /** An activation of `bytes` bytes. */
  scratch(name: string, bytes: number): Value {
    return { name: this.#label(name), bytes, kind: 'activation' };
  }

  /** An activation [tiles][features][16] f32, or [features] of one token, with room for whole cache lines. */
  activation(name: string, features: number, tiles = this.tiles): Value {
    return this.scratch(name, this.oneToken ? lines(features) * 64 : tiles * features * 64);
  }

  /** Appends an op. */
  emit<K extends KernelName>(kernel: K, units: Units, args: ArgumentsOf<K>): void {
    this.#ops.push({ kernel, units, args: args, label: this.#scope });
  }

  /** Keeps a value of `owner`'s forward pass for its backward pass; liveness then has it live that long. */
  keep(owner: object, value: Value): void {
    this.#kept.set(owner, value);
  }

  /** What `owner` has kept. */
  kept(owner: object): Value | undefined {
    return this.#kept.get(owner);
  }

  /** Nothing so far is kept: what was emitted is emitted again in the backward pass. */
  forget(): void {
    this.#kept.clear();
  }

  /** The program; `pass` may put ops among those emitted. */
  finish(pass = (ops: readonly KernelOp[]): readonly KernelOp[] => ops): Program {
    return { name: this.#name, ops: stageWeights(pass(this.#ops)) };
  }

  #label(name: string): string {
    return this.#scope ? `${this.#scope}.${name}` : name;
  }
}

/** The values that an op reads and writes. */
export function touched(op: Op): { value: Value; written: boolean; read: boolean }[] {
  if ('stage' in op) return op.parts.map(({ to }) => ({ value: to, written: op.stage === 'fetch', read: op.stage === 'arrive' }));
  const found: { value: Value; written: boolean; read: boolean }[] = [];
  const roles: Readonly<Record<string, string>> = signatures[op.kernel];
  for (const [name, role] of Object.entries(roles)) {
    const argument = op.args[name];
    if (argument === undefined || typeof argument === 'number' || 'of' in argument) continue;
    found.push({ value: valueOf(argument), written: role === 'out' || role === 'inout', read: role !== 'out' });
  }
  return found;
}
