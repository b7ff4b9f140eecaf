/** Commands from option tables: flags over YAML over the table's defaults. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { FormatError, explain } from '../core/errors.ts';
import type { OptionSpec, OptionTable } from '../core/options.ts';
import { flagOf, parseOption } from '../core/options.ts';
import type { Reporter } from './report.ts';
import { makeReporter } from './report.ts';

/** Adds a command whose flags are a table's, and `--config` and `--json`. `run` gets what was given, defaults still open. */
export function addCommand(
  program: Command,
  name: string,
  summary: string,
  table: OptionTable,
  run: (given: Record<string, unknown>, reporter: Reporter) => void | Promise<void>,
): void {
  const command = program.command(name).description(summary).showSuggestionAfterError().allowExcessArguments(false);
  for (const [option, spec] of Object.entries(table)) command.addOption(flag(option, spec));
  command.option('--config <FILE.yaml>', 'options from a YAML file; flags go before them');
  command.option('--json', 'one JSON object a line on standard output, nothing else');
  command.action(async (flags: Record<string, unknown>) => {
    const { config, json, ...given } = flags;
    const fromFile = typeof config === 'string' ? readConfig(config, table) : {};
    await run({ ...fromFile, ...given }, makeReporter(json === true));
  });
}

function flag(name: string, spec: OptionSpec): Option {
  const { kind } = spec;
  const argument = kind === 'flag' ? '' : ` <${typeof kind === 'object' ? kind.join('|') : PLACEHOLDERS[kind]}>`;
  const fallback = spec.default === undefined || spec.default === false ? '' : ` (default: ${String(spec.default)})`;
  const option = new Option(`${flagOf(name)}${argument}`, `${spec.help}${fallback}${spec.required ? ' (required)' : ''}`);
  return kind === 'flag' || kind === 'paths' ? option : option.argParser((text) => parseOption(kind, text));
}

const PLACEHOLDERS = {
  text: 'text',
  whole: 'n',
  number: 'x',
  list: 'a,b,...',
  wholes: 'n,n,...',
  numbers: 'x,x,...',
  paths: 'files...',
  bytes: 'size',
} as const;

/** Reads options from YAML; names as flags (`max-seq-length`), with underscores, or as in the library. Throws FormatError. */
export function readConfig(path: string, table: OptionTable): Record<string, unknown> {
  let yaml: unknown;
  try {
    yaml = parseYaml(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FormatError(`--config ${path}: expected YAML, got: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    });
  }
  if (yaml === null || yaml === undefined) return {};
  if (typeof yaml !== 'object' || Array.isArray(yaml)) throw new FormatError(explain(`--config ${path}`, 'options by name', typeof yaml));
  const given: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(yaml)) {
    const name = key.replace(/[-_]([a-z])/g, (_, c: string) => c.toUpperCase());
    const spec = table[name];
    if (!spec)
      throw new RangeError(
        explain(
          `--config ${path}`,
          `options named as the flags: ${Object.keys(table)
            .map((n) => flagOf(n).slice(2))
            .join(', ')}`,
          key,
        ),
      );
    // YAML reads 2:4 as a text already, and 0.5 as a number where a text is meant.
    given[name] =
      typeof value === 'number' && spec.kind === 'text' ? String(value) : typeof value === 'string' ? parseOption(spec.kind, value) : value;
  }
  return given;
}
