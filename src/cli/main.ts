#!/usr/bin/env node
/** The command `lors`. */
import { Command, CommanderError } from 'commander';
import { BENCH_OPTIONS } from '../bench/options.ts';
import { COMPARE_OPTIONS } from '../bench/methods/options.ts';
import { VERSION } from '../core/version.ts';
import { EVALUATE_OPTIONS } from '../tasks/evaluateOptions.ts';
import { FINETUNE_OPTIONS } from '../tasks/finetuneOptions.ts';
import { FUSE_OPTIONS } from '../tasks/fuse.ts';
import { GENERATE_OPTIONS } from '../tasks/generateOptions.ts';
import { INSPECT_OPTIONS } from '../tasks/inspect.ts';
import { PRUNE_OPTIONS } from '../tasks/prune.ts';
import { QUANTIZE_OPTIONS } from '../tasks/quantize.ts';
import { SEARCH_OPTIONS } from '../tasks/search.ts';
import { addCommand } from './command.ts';
import {
  runBench,
  runCompare,
  runEvaluate,
  runFinetune,
  runFuse,
  runGenerate,
  runInspect,
  runPrune,
  runQuantize,
  runSearch,
} from './commands.ts';

/** Exit codes: 1 something went wrong, 2 the command line was wrong, 130 interrupted. */
const USAGE = 2;

function build(): Command {
  const program = new Command('lors')
    .description('Fine-tune sparse Llamas on any CPU and keep every pruned weight at zero.')
    .version(VERSION)
    .showSuggestionAfterError()
    .exitOverride();
  addCommand(program, 'finetune', 'fine-tune a model, pruning it first if asked', FINETUNE_OPTIONS, runFinetune);
  addCommand(program, 'prune', 'set the least important weights of a model to zero', PRUNE_OPTIONS, runPrune);
  addCommand(program, 'quantize', 'round the weights of a model to group-wise INT4; zeros stay zero', QUANTIZE_OPTIONS, runQuantize);
  addCommand(program, 'search', 'find the ranks to keep of a super-adapter (finetune --nls-ranks)', SEARCH_OPTIONS, runSearch);
  addCommand(program, 'eval', 'perplexity of a model on text', EVALUATE_OPTIONS, runEvaluate);
  addCommand(program, 'generate', 'go on from a prompt', GENERATE_OPTIONS, runGenerate);
  addCommand(program, 'fuse', 'merge an adapter into its model; zeros stay zero', FUSE_OPTIONS, runFuse);
  addCommand(program, 'inspect', 'pattern, density and bytes of each matrix', INSPECT_OPTIONS, runInspect);
  addCommand(program, 'compare', 'which method to use: all of them on one model and text, side by side', COMPARE_OPTIONS, runCompare);
  addCommand(
    program,
    'bench',
    'which sparsity pays on this machine: speed by pattern, shape and tokens, and quality beside it',
    BENCH_OPTIONS,
    runBench,
  );
  return program;
}

// Whoever reads may have had enough: `lors bench | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await build().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong, or printed the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  } else {
    process.stderr.write(`lors: ${error instanceof Error ? error.message : String(error)}\n`);
    if (process.env['LORS_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    process.exitCode = error instanceof RangeError || error instanceof TypeError ? USAGE : 1;
  }
}
