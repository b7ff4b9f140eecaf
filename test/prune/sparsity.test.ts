import { describe, expect, test } from 'vitest';
import { formatSparsity, parseSparsity } from '../../src/prune/sparsity.ts';

test.each([
  ['2:4', { kind: 'n:m', keep: 2, group: 4 }, '2:4'],
  ['0.5', { kind: 'unstructured', sparsity: 0.5 }, '0.5'],
  ['70%', { kind: 'unstructured', sparsity: 0.7 }, '0.7'],
  ['4x1:70%', { kind: 'block', block: '4x1', sparsity: 0.7 }, '4x1:0.7'],
  ['16x1:0.25', { kind: 'block', block: '16x1', sparsity: 0.25 }, '16x1:0.25'],
  ['1x4:12.5%', { kind: 'block', block: '1x4', sparsity: 0.125 }, '1x4:0.125'],
  ['4x4:.9', { kind: 'block', block: '4x4', sparsity: 0.9 }, '4x4:0.9'],
] as const)('%s is read, and written so that it is read as the same', (text, sparsity, written) => {
  expect(parseSparsity(text)).toEqual(sparsity);
  expect(formatSparsity(sparsity)).toBe(written);
  expect(parseSparsity(written)).toEqual(sparsity);
});

describe('is refused, with what would do', () => {
  test.each(['', '%', '0', '1', '100%', '-0.5', '70%%', 'half', '4x1:', '4x1:0', '4x1:2', '4x1:100%', '4x1', '4x1:x'])('%j', (text) => {
    expect(() => parseSparsity(text)).toThrow(
      `sparsity: expected N:M such as 2:4, a share between 0 and 1 such as 0.5 or 50%, or blocks and a share such as 4x1:70%, got ${text}.`,
    );
  });

  test.each(['4:2', '4:4', '0:4'])('%s', (text) => {
    expect(() => parseSparsity(text)).toThrow(`sparsity: expected N:M with 0 < N < M (kept : group), got ${text}.`);
  });

  test.each(['8x8:50%', '3x1:0.5', 'constructor'])('%s', (text) => {
    expect(() => parseSparsity(text)).toThrow(RangeError);
  });

  test('blocks that there are not, by name', () => {
    expect(() => parseSparsity('8x8:50%')).toThrow('sparsity: expected blocks (outputs x inputs) of 16x1, 4x4, 4x1, 1x4, got 8x8:50%.');
  });
});
