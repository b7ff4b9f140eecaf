/** Patterns by name, and random masks of them. */
import { explain } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { BlockName } from '../sparse/block.ts';
import { BLOCKS, BLOCK_NAMES, isBlockName } from '../sparse/block.ts';

/** `zeros` is the share of the weights that are pruned. */
export type Pattern = { readonly name: string; readonly zeros: number } & (
  | { readonly kind: 'dense' }
  | { readonly kind: 'n:m'; readonly keep: number; readonly group: number }
  | { readonly kind: 'unstructured' }
  | { readonly kind: 'block'; readonly block: BlockName }
);

/** Zeros of blocks when none are asked for. */
const BLOCK_PERCENT = 70;

export const PATTERN_HELP = `dense, N:M (kept:group), csrPP (PP % zeros anywhere), ${BLOCK_NAMES.join(', ')} (${BLOCK_PERCENT} % zeros) or AxB:PP, block (all of these)`;

/**
 * The patterns of names: `dense`; `2:4`; `csr70`, 70 % zeros anywhere (packing picks the format by density); `4x1` or `4x1:90`, blocks
 * of 4 outputs x 1 input, 70 or 90 % of them zero; `block`, all four shapes of blocks. Each once, in order. Throws RangeError.
 */
export function parsePatterns(names: readonly string[]): Pattern[] {
  const patterns = names.flatMap((name) => (name === 'block' ? BLOCK_NAMES : [name])).map(parsePattern);
  return patterns.filter(({ name }, i) => patterns.findIndex((other) => other.name === name) === i);
}

function parsePattern(text: string): Pattern {
  if (text === 'dense') return { name: text, kind: 'dense', zeros: 0 };
  const nm = /^(\d+):(\d+)$/.exec(text);
  if (nm) {
    const [keep, group] = [Number(nm[1]), Number(nm[2])];
    if (keep > 0 && keep < group) return { name: text, kind: 'n:m', keep, group, zeros: 1 - keep / group };
  }
  const csr = share(/^csr(\d+(?:\.\d+)?)%?$/.exec(text)?.[1]);
  if (csr !== undefined) return { name: text.replace('%', ''), kind: 'unstructured', zeros: csr };
  const [, block = '', percent = `${BLOCK_PERCENT}`] = /^(\d+x\d+)(?::(\d+(?:\.\d+)?)%?)?$/.exec(text) ?? [];
  const zeros = share(percent);
  if (isBlockName(block) && zeros !== undefined) {
    return { name: Number(percent) === BLOCK_PERCENT ? block : `${block}:${percent}`, kind: 'block', block, zeros };
  }
  throw new RangeError(explain('--patterns', PATTERN_HELP, text));
}

/** A share of percents between 0 and 100, both excluded. */
function share(percent: string | undefined): number | undefined {
  const value = Number(percent) / 100;
  return value > 0 && value < 1 ? value : undefined;
}

/** How `lors prune` is asked for a pattern; undefined for dense. */
export function sparsityOf(pattern: Pattern): string | undefined {
  if (pattern.kind === 'dense') return undefined;
  if (pattern.kind === 'n:m') return pattern.name;
  return pattern.kind === 'block' ? `${pattern.block}:${pattern.zeros}` : `${pattern.zeros}`;
}

/** Throws RangeError where a matrix cannot have a pattern: a group must divide its inputs. */
export function checkFits(pattern: Pattern, { rows, cols }: { readonly rows: number; readonly cols: number }): void {
  if (pattern.kind !== 'n:m' || cols % pattern.group === 0) return;
  const hint = 'Leave the pattern or the shape out.';
  throw new RangeError(
    explain(`--patterns ${pattern.name}`, `inputs that are a multiple of ${pattern.group}`, `a matrix ${rows}x${cols}`, hint),
  );
}

/** A random mask [rows, cols], 1 = kept. Throws RangeError as checkFits does. */
export function randomMask(pattern: Pattern, rows: number, cols: number, random: Random): Uint8Array {
  checkFits(pattern, { rows, cols });
  const keep = new Uint8Array(rows * cols);
  switch (pattern.kind) {
    case 'dense':
      return keep.fill(1);
    case 'n:m': {
      const { keep: n, group } = pattern;
      for (let at = 0; at < keep.length; at += group) {
        // One pass over the group: each place is kept with the chance that makes n in all (Knuth, algorithm S).
        for (let i = 0, left = n; left > 0; i++) {
          if (random.below(group - i) >= left) continue;
          keep[at + i] = 1;
          left--;
        }
      }
      return keep;
    }
    case 'unstructured':
      return keep.map(() => (random.uniform() < pattern.zeros ? 0 : 1));
    case 'block': {
      const { rows: R, cols: C } = BLOCKS[pattern.block];
      const across = Math.ceil(cols / C);
      const kept = Uint8Array.from({ length: Math.ceil(rows / R) * across }, () => (random.uniform() < pattern.zeros ? 0 : 1));
      for (let r = 0, i = 0; r < rows; r++)
        for (let c = 0; c < cols; c++) keep[i++] = kept[Math.floor(r / R) * across + Math.floor(c / C)]!;
      return keep;
    }
  }
}
