/** Options from a table: kinds, defaults and checks in one place, for the library and the command alike. */
import { explain, shown } from './errors.ts';

/**
 * How an option is read; a list of strings is a choice. A `list`, `wholes` (whole numbers) and `numbers` are comma-separated on
 * the command line; `paths` are arguments of their own.
 */
export type OptionKind = 'text' | 'whole' | 'number' | 'flag' | 'list' | 'wholes' | 'numbers' | 'paths' | 'bytes' | readonly string[];

export interface OptionSpec {
  readonly kind: OptionKind;
  readonly default?: string | number | boolean | readonly string[] | readonly number[];
  /** Smallest value of a number, or of each of several. */
  readonly least?: number;
  /** A number must be larger than this. */
  readonly above?: number;
  /** A number must be smaller than this. */
  readonly below?: number;
  /** What a list may hold. */
  readonly values?: readonly string[];
  readonly required?: boolean;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S['kind'] extends 'text'
  ? string
  : S['kind'] extends 'whole' | 'number' | 'bytes'
    ? number
    : S['kind'] extends 'flag'
      ? boolean
      : S['kind'] extends 'list' | 'paths'
        ? readonly string[]
        : S['kind'] extends 'wholes' | 'numbers'
          ? readonly number[]
          : S['kind'] extends readonly (infer V)[]
            ? V
            : never;

/** Options of a table with every default filled in. */
export type Resolved<T extends OptionTable> = {
  readonly [K in keyof T]: T[K]['default'] extends NonNullable<OptionSpec['default']>
    ? ValueOf<T[K]>
    : T[K]['required'] extends true
      ? ValueOf<T[K]>
      : ValueOf<T[K]> | undefined;
};

/** Options of a table as a caller gives them. */
export type Given<T extends OptionTable> = {
  readonly [K in keyof T as T[K] extends { readonly required: true } ? K : never]: ValueOf<T[K]>;
} & { readonly [K in keyof T as T[K] extends { readonly required: true } ? never : K]?: ValueOf<T[K]> | undefined };

/** `maxSeqLength` as a flag: `--max-seq-length`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
}

/** Checks given options against a table and fills in the defaults. Throws TypeError for a wrong kind, RangeError for a wrong value. */
export function resolveOptions<T extends OptionTable>(table: T, given: Readonly<Record<string, unknown>>): Resolved<T> {
  for (const name of Object.keys(given)) {
    if (!(name in table)) throw new RangeError(explain('options', `one of ${Object.keys(table).join(', ')}`, name));
  }
  const resolved: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    const value = given[name] ?? spec.default;
    if (value === undefined && spec.required) throw new RangeError(`${flagOf(name)}: expected ${spec.help}, got none.`);
    resolved[name] = value === undefined ? undefined : checked(name, spec, value);
  }
  return Object.freeze(resolved) as Resolved<T>;
}

function checked(name: string, spec: OptionSpec, value: unknown): unknown {
  const { kind } = spec;
  const wrong = (expected: string, got = value): never => {
    throw new RangeError(explain(flagOf(name), expected, typeof got === 'string' ? got : shown(got)));
  };
  if (kind === 'text') return typeof value === 'string' && value !== '' ? value : wrong('a text');
  if (kind === 'flag') return typeof value === 'boolean' ? value : wrong('true or false');
  if (kind === 'wholes' || kind === 'numbers') {
    if (!Array.isArray(value) || value.length === 0) return wrong('a list of numbers');
    return (value as unknown[]).map((n) => checked(name, { ...spec, kind: kind === 'wholes' ? 'whole' : 'number' }, n));
  }
  if (kind === 'list' || kind === 'paths') {
    if (!Array.isArray(value) || value.length === 0) return wrong('a list');
    const values = spec.values;
    const odd = (value as unknown[]).findIndex((v) => typeof v !== 'string' || (values && !values.includes(v)));
    return odd < 0 ? value : wrong(values ? `some of ${values.join(', ')}` : 'texts', value[odd]);
  }
  if (typeof kind === 'object') return typeof value === 'string' && kind.includes(value) ? value : wrong(`one of ${kind.join(', ')}`);
  const what = kind === 'number' ? 'a number' : 'a whole number';
  const range = [
    spec.least !== undefined && `of at least ${spec.least}`,
    spec.above !== undefined && `above ${spec.above}`,
    spec.below !== undefined && `below ${spec.below}`,
  ]
    .filter(Boolean)
    .join(' and ');
  const fits =
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (kind === 'number' || Number.isSafeInteger(value)) &&
    (spec.least === undefined || value >= spec.least) &&
    (spec.above === undefined || value > spec.above) &&
    (spec.below === undefined || value < spec.below);
  return fits ? value : wrong(range ? `${what} ${range}` : what);
}

/** Reads an option from text: a flag's argument. Leaves what it cannot read for resolveOptions to refuse. */
export function parseOption(kind: OptionKind, text: string): unknown {
  if (kind === 'list') return text.split(',').map((part) => part.trim());
  if (kind === 'wholes' || kind === 'numbers') return text.split(',').map((part) => parseOption('number', part));
  if (kind === 'bytes') return parseBytes(text);
  if (kind !== 'whole' && kind !== 'number') return text;
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
}

/** `900MB`, `2.5 GB`, `3GiB` or plain bytes. */
function parseBytes(text: string): unknown {
  const match = /^([\d.]+)\s*([kmgt]?)(i?)b?$/i.exec(text.trim());
  if (!match) return text;
  const power = ' kmgt'.indexOf(match[2]!.toLowerCase() || ' ');
  return Math.round(Number(match[1]) * (match[3] ? 1024 : 1000) ** power);
}
