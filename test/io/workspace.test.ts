/** Room that is used again and again: what is taken is zeros of its own until `clear`, whatever stood there before. */
import { expect, test } from 'vitest';
import { Workspace } from '../../src/io/workspace.ts';

test('arrays are zeros, aligned, and do not share a byte', () => {
  const { take } = new Workspace();
  const arrays = [take(Uint8Array, 5), take(Float32Array, 70_000), take(Uint16Array, 3), take(Uint32Array, 0), take(Uint8Array, 200_000)];
  expect(arrays.map(({ length }) => length)).toEqual([5, 70_000, 3, 0, 200_000]);
  arrays.forEach((array, i) => {
    expect(array.byteOffset % 64).toBe(0);
    expect(array.every((x) => x === 0)).toBe(true);
    array.fill(i + 1);
  });
  arrays.forEach((array, i) => expect(array.every((x) => x === i + 1)).toBe(true));
});

test('what is cleared is taken again, as zeros', () => {
  const workspace = new Workspace();
  const round = (): Uint8Array[] => [workspace.take(Uint8Array, 100_000).fill(7), workspace.take(Uint8Array, 50_000).fill(7)];
  round();
  workspace.clear();
  // Now there is one block for a whole round.
  const second = round();
  expect(second[1]!.buffer).toBe(second[0]!.buffer);
  workspace.clear();
  const third = workspace.take(Uint8Array, 150_000);
  expect(third.buffer).toBe(second[0]!.buffer);
  expect(third.every((x) => x === 0)).toBe(true);
});

test('a block that is far larger than what follows is given up', () => {
  const workspace = new Workspace();
  const large = workspace.take(Uint8Array, 65e6);
  workspace.clear();
  const small = workspace.take(Uint8Array, 10);
  expect(small.buffer).not.toBe(large.buffer);
  expect(small.buffer.byteLength).toBeLessThan(1e6);
});
