/**
 * Channel permutation for N:M (RIA, Zhang et al., ICLR 2024, section 3.3): inputs are grouped so that important ones do not compete
 * for the places of one group. The order is for choosing the mask alone: weights keep their places, so the pruned model is a model
 * like any other, with n of every m weights of a row kept, but not of m neighbours.
 */
import { assign } from './assign.ts';
import { selectKept } from './select.ts';

/** A mask [rows, cols] of scores [rows, cols] that is N:M in the order of permuteChannels. cols is a multiple of m. */
export function selectPermuted(scores: Float64Array, rows: number, cols: number, n: number, m: number): Uint8Array {
  const order = permuteChannels(scores, rows, cols, n, m);
  const permuted = scores.map((_, i) => scores[i - (i % cols) + order[i % cols]!]!);
  const kept = selectKept(permuted, rows, cols, { kind: 'n:m', keep: n, group: m });
  const keep = new Uint8Array(kept.length);
  for (let i = 0; i < kept.length; i++) keep[i - (i % cols) + order[i % cols]!] = kept[i]!;
  return keep;
}

/** The input at each place, groups of m places: dealt out by their summed scores, then improved place by place by assignment. */
export function permuteChannels(scores: Float64Array, rows: number, cols: number, n: number, m: number): Uint32Array {
  const groups = cols / m;
  const columns = transposed(scores, rows, cols);
  const order = deal(columns, m);
  const thresholds = new Float64Array(rows);
  const gains = new Float64Array(groups * groups);
  for (let place = 0; place < m; place++) {
    // Each group gives up its input at this place; which of those that were given up would add most to the score that it keeps?
    const given = Array.from({ length: groups }, (_, g) => order[g * m + place]!);
    for (let g = 0; g < groups; g++) {
      const others = Array.from(order.subarray(g * m, (g + 1) * m), (c) => columns[c]!).filter((_, i) => i !== place);
      // Beside the others an input is kept where it beats their n-th best, and adds the difference.
      for (let r = 0; r < rows; r++) thresholds[r] = others.map((column) => column[r]!).sort((a, b) => b - a)[n - 1]!;
      for (let k = 0; k < groups; k++) gains[g * groups + k] = -gain(columns[given[k]!]!, thresholds);
    }
    assign(gains, groups).forEach((k, g) => (order[g * m + place] = given[k]!));
  }
  return order;
}

/** The inputs from the highest summed score to the lowest, one to each group in turn, and back again for the next place. */
function deal(columns: readonly Float64Array[], m: number): Uint32Array {
  const totals = columns.map((column) => column.reduce((sum, score) => sum + score, 0));
  const ranked = totals.map((_, c) => c).sort((a, b) => totals[b]! - totals[a]! || a - b);
  const order = new Uint32Array(columns.length);
  const groups = columns.length / m;
  ranked.forEach((c, i) => {
    const place = Math.floor(i / groups);
    const g = place % 2 ? groups - 1 - (i % groups) : i % groups;
    order[g * m + place] = c;
  });
  return order;
}

/** Sum of what is above the thresholds. */
function gain(column: Float64Array, thresholds: Float64Array): number {
  let sum = 0;
  for (let r = 0; r < column.length; r++) sum += Math.max(0, column[r]! - thresholds[r]!);
  return sum;
}

function transposed(scores: Float64Array, rows: number, cols: number): Float64Array[] {
  return Array.from({ length: cols }, (_, c) => Float64Array.from({ length: rows }, (_, r) => scores[r * cols + c]!));
}
