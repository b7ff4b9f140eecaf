/** The golden files that the runtimes are held to. */

/** Where they lie beside the repository. */
export const GOLDEN_FILES = {
  kernels: 'golden/kernels.safetensors',
  pruned: 'golden/pruned.safetensors',
  train: 'golden/train.safetensors',
  report: 'golden/report.json',
  config: 'models/stories260K/config.json',
  weights: 'models/stories260K/model.safetensors',
} as const;

/** The golden files, by the names of `GOLDEN_FILES`. */
export type GoldenFiles = Readonly<Record<keyof typeof GOLDEN_FILES, Uint8Array>>;
