/** What packing picked for the projections of a model, and so which kernels run them. */
import type { LlamaModel } from '../models/model.ts';

/** How many projections have each format and pattern: `quads (2:4)`, `csr (unstructured 30 %)`. */
export function formatsOf({ linears }: Pick<LlamaModel, 'linears'>): Record<string, number> {
  const kinds = new Map<string, { n: number; kept: number; all: number }>();
  for (const { format, pattern, kept, rows, cols } of linears.values()) {
    const kind = format === 'dense' ? 'dense' : `${format === 'quad' ? 'quads' : format} (${pattern}`;
    const sum = kinds.get(kind) ?? { n: 0, kept: 0, all: 0 };
    kinds.set(kind, { n: sum.n + 1, kept: sum.kept + kept, all: sum.all + rows * cols });
  }
  const named = [...kinds].map(([kind, { n, kept, all }]): [string, number] => {
    // N:M says how many are kept.
    const share = /^(dense|.*:\d+)$/.test(kind) ? '' : ` ${((kept / all) * 100).toFixed(0)} %`;
    return [kind === 'dense' ? kind : `${kind}${share})`, n];
  });
  return Object.fromEntries(named);
}
