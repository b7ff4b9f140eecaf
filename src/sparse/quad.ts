/**
 * Packing into pattern-bucketed quads; assembly/quad.ts has the layout and the reason for it. `order` is the row-major
 * position of each value, in the order of the format: gathering through it packs, scattering unpacks.
 */
const BLOCK = 512;

export interface QuadStructure {
  readonly starts: Uint32Array;
  readonly index: Uint16Array;
  readonly order: Uint32Array;
}

/** Buckets a mask [rows, cols]. */
export function quadStructure(keep: Uint8Array, rows: number, cols: number): QuadStructure {
  const groups = Math.ceil(cols / 4);
  const blocks = Math.ceil(rows / BLOCK);
  const patterns = new Uint8Array(Math.min(rows, BLOCK));
  const starts = new Uint32Array((blocks * groups + 1) * 2);
  let kept = 0;
  for (let i = 0; i < keep.length; i++) kept += keep[i]!;
  const order = new Uint32Array(kept);
  // A group lists each row at most once, and at most 15 buckets with two words of their own.
  let index = new Uint16Array(Math.max(64, Math.ceil(rows * groups * 0.9)));
  let words = 0;
  let values = 0;
  for (let block = 0; block < blocks; block++) {
    const first = block * BLOCK;
    const count = Math.min(BLOCK, rows - first);
    for (let g = 0; g < groups; g++) {
      starts.set([words, values], (block * groups + g) * 2);
      if (words + count + 30 > index.length) index = enlarged(index, words + count + 30);
      const sizes = new Uint16Array(16);
      for (let r = 0; r < count; r++) {
        const pattern = quadPattern(keep, (first + r) * cols + g * 4, Math.min(4, cols - g * 4));
        patterns[r] = pattern;
        sizes[pattern]!++;
      }
      for (let pattern = 1; pattern < 16; pattern++) {
        if (!sizes[pattern]) continue;
        index[words++] = pattern;
        index[words++] = sizes[pattern]!;
        for (let r = 0; r < count; r++) {
          if (patterns[r] !== pattern) continue;
          index[words++] = r * 64;
          for (let c = 0; c < 4; c++) if (pattern & (1 << c)) order[values++] = (first + r) * cols + g * 4 + c;
        }
      }
    }
  }
  starts.set([words, values], blocks * groups * 2);
  return { starts, index: index.slice(0, words), order };
}

/** The order of values alone, from a packed index: what unpacking needs. */
export function quadOrder(starts: Uint32Array, index: Uint16Array, rows: number, cols: number): Uint32Array {
  const groups = Math.ceil(cols / 4);
  const blocks = Math.ceil(rows / BLOCK);
  const order = new Uint32Array(starts[blocks * groups * 2 + 1]!);
  let n = 0;
  for (let at = 0; at < blocks * groups; at++) {
    const base = Math.floor(at / groups) * BLOCK * cols + (at % groups) * 4;
    let i = starts[at * 2]!;
    while (i < starts[at * 2 + 2]!) {
      const pattern = index[i++]!;
      for (let left = index[i++]!; left > 0; left--) {
        const row = base + (index[i++]! / 64) * cols;
        for (let c = 0; c < 4; c++) if (pattern & (1 << c)) order[n++] = row + c;
      }
    }
  }
  return order;
}

function quadPattern(keep: Uint8Array, at: number, width: number): number {
  let pattern = 0;
  for (let c = 0; c < width; c++) pattern |= keep[at + c]! << c;
  return pattern;
}

function enlarged(index: Uint16Array, least: number): Uint16Array<ArrayBuffer> {
  const larger = new Uint16Array(Math.max(least, Math.ceil(index.length * 1.5)));
  larger.set(index);
  return larger;
}
