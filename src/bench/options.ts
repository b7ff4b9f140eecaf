/** The one table of what `lors bench` can be told. */
import type { OptionTable } from '../core/options.ts';
import { COMMON } from '../tasks/commonOptions.ts';
import { PRUNERS } from '../prune/rule.ts';
import { PATTERN_HELP } from './patterns.ts';
import { QUICK, RANK } from './quick.ts';
import { OPS } from './work.ts';

export const PEERS = ['ort-web', 'tfjs-wasm', 'torch'] as const;

/** What is measured when nothing is said, and with --quick. */
export const DEFAULTS = {
  full: {
    patterns: ['dense', '2:4', '1:4', '4:8', 'csr50', 'csr70', 'csr90', 'csr95', 'block'],
    ops: OPS,
    shapes: ['smollm-135m'],
    tokens: [1, 16, 128, 512],
    seconds: 8,
  },
  quick: QUICK,
} as const;

export const BENCH_OPTIONS = {
  patterns: { kind: 'list', help: `${PATTERN_HELP} (default: ${DEFAULTS.full.patterns.join(',')})` },
  ops: { kind: 'list', values: OPS, help: `of ${OPS.join(', ')}: products, merge, sampled product, a layer's LoRS step (default: all)` },
  shapes: {
    kind: 'list',
    help: 'smollm-135m, llama-3.2-1b, llama-2-7b, a config.json or a matrix such as 1536x576 (default: smollm-135m)',
  },
  tokens: { kind: 'wholes', least: 1, help: `numbers of tokens (default: ${DEFAULTS.full.tokens.join(',')})` },
  threads: { kind: 'wholes', least: 1, help: 'numbers of worker threads (default: 1 and the cores that there are)' },
  flavours: {
    kind: 'list',
    values: ['plain', 'relaxed', 'wide'],
    help: 'SIMD flavours (default: plain and relaxed where the host has it)',
  },
  against: { kind: 'list', values: PEERS, help: `others to compare with: ${PEERS.join(', ')}` },
  python: { kind: 'text', default: 'python3', help: 'the Python that has torch' },
  rank: { kind: 'whole', default: RANK, least: 1, help: 'rank of the adapter, for merge and step' },
  seconds: { kind: 'number', above: 0, help: 'seconds of timing for each shape, number of tokens, threads and flavour (default: 8)' },
  quick: { kind: 'flag', default: false, help: 'fewer patterns, ops and shapes, one thread, the fastest flavour: less than a minute' },
  out: { kind: 'text', help: 'directory for results.json, results.csv and report.html' },
  overwrite: COMMON.overwrite,
  compare: { kind: 'paths', help: 'two results.json: what changed beyond noise; nothing is measured' },
  quality: { kind: 'flag', default: false, help: 'perplexity of --model on --data at each pattern, before and after --iters LoRS steps' },
  model: { kind: 'text', help: 'Hugging Face Llama directory, for --quality' },
  data: { kind: 'text', help: 'text, for --quality; of a single file the last tenth is held out' },
  pruners: { kind: 'list', default: ['wanda'], values: PRUNERS, help: `of ${PRUNERS.join(', ')}, for --quality` },
  iters: { kind: 'whole', default: 100, least: 1, help: 'LoRS steps that recover a pruned model' },
  batchSize: { kind: 'whole', default: 4, least: 1, help: 'rows of --max-seq-length tokens a step' },
  maxSeqLength: { kind: 'whole', default: 256, least: 2, help: 'tokens of a row, in training and evaluation' },
  learningRate: { kind: 'number', default: 1e-3, above: 0, help: 'highest learning rate of the recovery' },
  separator: COMMON.separator,
  seed: { kind: 'whole', default: 0, least: 0, help: 'seed of the recovery' },
} as const satisfies OptionTable;
