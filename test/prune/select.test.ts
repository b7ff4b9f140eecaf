/** Which scores are kept, against sorting by the definition: the highest, the lower index of equal ones. */
import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { checkGroups, selectKept } from '../../src/prune/select.ts';
import { parseSparsity } from '../../src/prune/sparsity.ts';

/** Few different scores, so that there are many ties. */
const random = new Random(2);
const scores = (length: number): Float64Array => Float64Array.from({ length }, () => random.below(5));

function byDefinition(all: Float64Array, at: number, length: number, n: number): number[] {
  const order = Array.from({ length }, (_, i) => at + i).sort((a, b) => all[b]! - all[a]! || a - b);
  const kept = new Set(order.slice(0, n));
  return Array.from({ length }, (_, i) => +kept.has(at + i));
}

test.each([
  ['2:4', 'row', 4, 2],
  ['1:4', 'row', 4, 1],
  ['3:8', 'row', 8, 3],
  ['2:4', 'matrix', 4, 2],
  ['50%', 'row', 24, 12],
  ['0.9', 'row', 24, 2],
  ['0.99', 'row', 24, 1],
  ['0.9', 'matrix', 240, 24],
] as const)('%s, compared within the %s', (text, within, length, n) => {
  const all = scores(240);
  const keep = selectKept(all, 10, 24, parseSparsity(text), within);
  const expected: number[] = [];
  for (let at = 0; at < all.length; at += length) expected.push(...byDefinition(all, at, length, n));
  expect([...keep]).toEqual(expected);
});

test('blocks compared over the matrix: a strip may keep all of its blocks, another none', () => {
  const all = new Float64Array(8 * 8).map((_, i) => (i < 32 ? 2 : 1));
  const keep = selectKept(all, 8, 8, parseSparsity('4x4:50%'), 'matrix');
  expect([...keep]).toEqual(Array.from({ length: 64 }, (_, i) => +(i < 32)));
  const halves = selectKept(all, 8, 8, parseSparsity('4x4:50%'), 'row');
  expect([...halves]).toEqual(Array.from({ length: 64 }, (_, i) => +(i % 8 < 4)));
});

describe('groups', () => {
  test('that do not divide the inputs are refused', () => {
    expect(() => checkGroups(172, parseSparsity('2:8'), 'model.layers.0.mlp.down_proj')).toThrow(
      'model.layers.0.mlp.down_proj: inputs: expected a multiple of 8, the group of 2:8, got 172. Choose a smaller group, or a share such as 0.5.',
    );
    expect(() => checkGroups(172, parseSparsity('2:4'), 'w')).not.toThrow();
    expect(() => checkGroups(173, parseSparsity('4x4:50%'), 'w')).not.toThrow();
  });
});
