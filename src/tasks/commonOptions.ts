/** Options that several tasks have, said once. */
import type { OptionTable } from '../core/options.ts';

export const COMMON = {
  model: { kind: 'text', required: true, help: 'Hugging Face Llama directory' },
  separator: {
    kind: ['file', 'blank-lines'],
    default: 'file',
    help: 'a .txt is one document, or one for each run of lines between blank ones',
  },
  kernels: { kind: ['auto', 'plain', 'relaxed'], default: 'auto', help: 'SIMD flavour; auto takes the fastest that the host has' },
  overwrite: { kind: 'flag', default: false, help: 'write into an output directory that holds files' },
} as const satisfies OptionTable;
