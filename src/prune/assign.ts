/** The linear sum assignment problem: each row one column, at the lowest cost in all. */

/**
 * assign(cost, n)[row] is its column; cost: [n, n], finite. Shortest augmenting paths with potentials (Jonker & Volgenant 1987), a
 * row at a time, O(n^3). The package for it brings two matrix libraries along for these lines.
 */
export function assign(cost: Float64Array, n: number): Uint32Array {
  const rowPotentials = new Float64Array(n);
  // Place n stands before all columns: where a new row begins its path.
  const columnPotentials = new Float64Array(n + 1);
  const rowOf = new Int32Array(n + 1).fill(-1);
  const cameFrom = new Int32Array(n);
  const shortest = new Float64Array(n);
  const done = new Uint8Array(n + 1);
  for (let row = 0; row < n; row++) {
    rowOf[n] = row;
    shortest.fill(Infinity);
    done.fill(0);
    let at = n;
    while (rowOf[at] !== -1) {
      done[at] = 1;
      const from = rowOf[at]!;
      let [step, next] = [Infinity, -1];
      for (let c = 0; c < n; c++) {
        if (done[c]) continue;
        const reduced = cost[from * n + c]! - rowPotentials[from]! - columnPotentials[c]!;
        if (reduced < shortest[c]!) {
          shortest[c] = reduced;
          cameFrom[c] = at;
        }
        if (shortest[c]! < step) [step, next] = [shortest[c]!, c];
      }
      for (let c = 0; c <= n; c++) {
        if (done[c]) {
          rowPotentials[rowOf[c]!]! += step;
          columnPotentials[c]! -= step;
        } else if (c < n) shortest[c]! -= step;
      }
      at = next;
    }
    // Back along the path, each column goes to the row that the one before it had.
    while (at !== n) {
      const before = cameFrom[at]!;
      rowOf[at] = rowOf[before]!;
      at = before;
    }
  }
  const columns = new Uint32Array(n);
  for (let c = 0; c < n; c++) columns[rowOf[c]!] = c;
  return columns;
}
