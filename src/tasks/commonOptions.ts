/** Options that several tasks have, said once. */
import type { OptionTable } from '../core/options.ts';
import { SEPARATOR } from './portableOptions.ts';

export const WEIGHT_PLACES = ['auto', 'arena', 'memory', 'file'] as const;
export type WeightPlace = (typeof WEIGHT_PLACES)[number];

export const COMMON = {
  model: { kind: 'text', required: true, help: 'Hugging Face Llama directory' },
  separator: SEPARATOR,
  kernels: {
    kind: ['auto', 'plain', 'relaxed', 'wide'],
    default: 'auto',
    help: 'SIMD flavour; auto takes the faster of plain and relaxed that the host has; wide lets V8 widen the relaxed ones to 256 bits (Node 24, experimental)',
  },
  threads: { kind: 'whole', least: 1, help: 'worker threads; the cores that there are when not given. Results do not depend on it' },
  weights: {
    kind: WEIGHT_PLACES,
    default: 'auto',
    help: 'where packed weights live: in the arena, or outside it and fetched for each use (models of more than 4 GiB)',
  },
  overwrite: { kind: 'flag', default: false, help: 'write into an output directory that holds files' },
} as const satisfies OptionTable;
