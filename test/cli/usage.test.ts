/** The command line itself: help, what it refuses, exit codes. Nothing here needs a model. */
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMPARE_OPTIONS } from '../../src/bench/methods/options.ts';
import { BENCH_OPTIONS } from '../../src/bench/options.ts';
import { flagOf } from '../../src/core/options.ts';
import type { OptionTable } from '../../src/core/options.ts';
import { EVALUATE_OPTIONS } from '../../src/tasks/evaluateOptions.ts';
import { FINETUNE_OPTIONS } from '../../src/tasks/finetuneOptions.ts';
import { FUSE_OPTIONS } from '../../src/tasks/fuse.ts';
import { GENERATE_OPTIONS } from '../../src/tasks/generateOptions.ts';
import { INSPECT_OPTIONS } from '../../src/tasks/inspect.ts';
import { PRUNE_OPTIONS } from '../../src/tasks/prune.ts';
import { QUANTIZE_OPTIONS } from '../../src/tasks/quantize.ts';
import { SEARCH_OPTIONS } from '../../src/tasks/search.ts';
import { temporaryDirectory } from '../io/temporary.ts';
import { CAN_WIDEN } from '../kernels/harness.ts';
import { lors } from './lors.ts';

const COMMANDS: Readonly<Record<string, OptionTable>> = {
  finetune: FINETUNE_OPTIONS,
  prune: PRUNE_OPTIONS,
  quantize: QUANTIZE_OPTIONS,
  search: SEARCH_OPTIONS,
  eval: EVALUATE_OPTIONS,
  generate: GENERATE_OPTIONS,
  fuse: FUSE_OPTIONS,
  inspect: INSPECT_OPTIONS,
  compare: COMPARE_OPTIONS,
  bench: BENCH_OPTIONS,
};

/** The flags of the synopsis: what people and scripts were promised. */
const PROMISED: Readonly<Record<string, string>> = {
  finetune:
    'model data out prune sparsity method gradient rank alpha rslora target-modules iters epochs batch-size grad-accumulation-steps ' +
    'max-seq-length learning-rate lr-schedule warmup max-grad-norm weight-decay recompute steps-per-report steps-per-eval save-every ' +
    'resume mask-prompt seed config json quantize group-size nls-ranks nls-sharing nls-search nls-turns',
  prune: 'model method sparsity data out calibration-samples',
  quantize: 'model out group-size',
  search: 'model adapter data out nls-search nls-turns',
  eval: 'model adapter data max-seq-length json',
  generate: 'model adapter prompt max-tokens temperature top-k top-p seed',
  fuse: 'model adapter out',
  inspect: 'model json',
  compare: 'model data methods iters learning-rates target json',
  bench: 'patterns ops shapes tokens threads flavours against out json quick quality model data compare',
};

describe('kernels that this host cannot run', () => {
  const tasks = [
    ['eval', '--model', 'none', '--data', 'none', '--kernels', 'wide'],
    ['bench', '--quick', '--flavours', 'wide'],
  ];
  test.skipIf(CAN_WIDEN).each(tasks)('lors %s: wide is refused in words, without flags of V8 too', async (...args) => {
    const { code, stdout, stderr } = await lors(args, []);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(`lors: --kernels wide: expected V8 13 or later (Node 24), got V8 ${process.versions.v8}.\n`);
  });
});

describe('help', () => {
  test('lors --help names every command; lors alone says the same, as an error', async () => {
    const help = await lors(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const command of Object.keys(COMMANDS)) expect(help.stdout).toMatch(new RegExp(`^  ${command} \\[options\\]  +\\S`, 'm'));
    expect(await lors([])).toEqual({ code: 2, stdout: '', stderr: help.stdout });
  });

  test.each(Object.keys(COMMANDS))('lors %s --help has every flag, with its default', async (command) => {
    const { code, stdout, stderr } = await lors([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const flag of PROMISED[command]!.split(' ')) expect(stdout).toMatch(new RegExp(`^  --${flag}\\b`, 'm'));
    for (const [name, spec] of Object.entries(COMMANDS[command]!)) {
      const line = stdout.split('\n').find((l) => l.trimStart().split(' ')[0] === flagOf(name))!;
      expect(line, name).toBeDefined();
      // Long helps wrap; the default, where there is one, ends the text.
      const rest = stdout
        .slice(stdout.indexOf(line))
        .split(/\n {2}--/)[0]!
        .replaceAll(/\s+/g, ' ');
      if (spec.default !== undefined && spec.default !== false) expect(rest, name).toContain(`(default: ${String(spec.default)})`);
      if (spec.required) expect(rest, name).toContain('(required)');
    }
  });

  test("lors --version is the package's", async () => {
    const { version } = JSON.parse(fs.readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(await lors(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('a wrong command line: exit code 2, the reason on standard error, nothing on standard output', () => {
  const root = temporaryDirectory();
  const run = ['finetune', '--model', 'm', '--data', 'd', '--out', join(root, 'out')];
  const yaml = (text: string): string => {
    const path = join(root, `${fs.readdirSync(root).length}.yaml`);
    fs.writeFileSync(path, text);
    return path;
  };

  test.each<[what: string, args: readonly string[], message: RegExp]>([
    [
      'an unknown flag: the nearest is suggested',
      ['finetune', '--lerning-rate', '1'],
      /unknown option '--lerning-rate'\n\(Did you mean --learning-rate\?\)/,
    ],
    ['an unknown command: likewise', ['finetun'], /unknown command 'finetun'\n\(Did you mean finetune\?\)/],
    ['an argument too many', ['inspect', 'model'], /too many arguments for 'inspect'/],
    ['a flag without its value', ['inspect', '--model'], /option '--model <text>' argument missing/],
    ['a required flag that is not there', ['eval', '--model', 'm'], /^lors: --data: expected .*, got none\.\n$/],
    ['a number that is none', [...run, '--rank', 'many'], /^lors: --rank: expected a whole number of at least 1, got many\.\n$/],
    ['a number out of range', [...run, '--learning-rate', '-1'], /^lors: --learning-rate: expected a number above 0, got -1\.\n$/],
    [
      'a choice that there is not',
      [...run, '--method', 'qlora'],
      /^lors: --method: expected one of lors, lora, sp-lora, sqft, spp, hira, full, got qlora\.\n$/,
    ],
    ['a size that is none', [...run, '--memory', 'much'], /^lors: --memory: expected a whole number, got much\.\n$/],
    [
      'an unknown key in YAML',
      [...run, '--config', yaml('learning_rat: 1')],
      /^lors: --config .*: expected options named as the flags: model, .*, got learning_rat\.\n$/,
    ],
    ['a list of numbers that has something else', ['bench', '--tokens', '16,many'], /^lors: --tokens: expected .*, got many\.\n$/],
    ['one of a list that there is not', ['bench', '--ops', 'spmm,conv'], /^lors: --ops: expected .*spmm.*, got conv\.\n$/],
    ['a pattern that is none', ['bench', '--patterns', '2:4,5:3'], /^lors: --patterns: expected .*, got 5:3\.\n$/],
    ['a shape that is none', ['bench', '--shapes', '12x'], /^lors: --shapes: expected .*, got 12x\.\n$/],
    ['results to compare, but one', ['bench', '--compare', 'a.json'], /^lors: --compare: expected two results\.json, got 1\.\n$/],
    ['quality of no model', ['bench', '--quality', '--data', 'd'], /^lors: --model: expected one with --quality, got none\.\n$/],
    ['a value of the wrong kind in YAML', [...run, '--config', yaml('rslora: 3')], /^lors: --rslora: expected true or false, got 3\.\n$/],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await lors(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(fs.existsSync(join(root, 'out'))).toBe(false);
  });

  test('what is wrong with files is exit code 1, in one line and without a stack', async () => {
    for (const [args, message] of [
      [
        ['inspect', '--model', join(root, 'nowhere')],
        /^lors: model .*nowhere: expected a directory with config\.json .*, got nothing there\.\n$/,
      ],
      [['inspect', '--config', join(root, 'none.yaml')], /^lors: --config .*none\.yaml: .*\n$/],
      [['inspect', '--config', yaml('model: [')], /^lors: --config .*: expected YAML, got: /],
      [['inspect', '--config', yaml('- model')], /^lors: --config .*: expected options by name, got /],
    ] as const) {
      const { code, stdout, stderr } = await lors(args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/\n\s+at /);
    }
  });
});
