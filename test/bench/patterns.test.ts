import { describe, expect, test } from 'vitest';
import { parsePatterns, randomMask, sparsityOf } from '../../src/bench/patterns.ts';
import { matricesOf, parseMatrix } from '../../src/bench/shapes.ts';
import { makeMatrix } from '../../src/bench/problem.ts';
import { Random } from '../../src/core/random.ts';
import { parseConfig } from '../../src/models/config.ts';
import { parseSparsity } from '../../src/prune/sparsity.ts';
import { BLOCKS } from '../../src/sparse/block.ts';
import { pack } from '../../src/sparse/pack.ts';

describe('patterns by name', () => {
  test('block is all four shapes, each pattern is there once, in the order in which it was named', () => {
    const names = parsePatterns(['2:4', 'block', '4x1', '4x1:70', '4x1:90%', 'csr70', 'csr70%', 'dense']).map(({ name }) => name);
    expect(names).toEqual(['2:4', '16x1', '4x4', '4x1', '1x4', '4x1:90', 'csr70', 'dense']);
  });

  test('zeros are shares, kept ones are not', () => {
    expect(parsePatterns(['1:4', 'csr95', '16x1:87.5']).map(({ zeros }) => zeros)).toEqual([0.75, 0.95, 0.875]);
  });

  test('every pattern is one that lors prune takes, and packing finds it again', () => {
    const shape = { rows: 64, cols: 96 };
    for (const pattern of parsePatterns(['2:4', '1:4', '4:8', 'csr50', 'csr90', 'block'])) {
      expect(parseSparsity(sparsityOf(pattern)!).kind).toBe(pattern.kind);
      const { pattern: found } = pack('F32', makeMatrix(pattern, shape), shape.rows, shape.cols);
      expect(found).toBe(pattern.kind === 'unstructured' ? 'unstructured' : pattern.name);
    }
    expect(sparsityOf(parsePatterns(['dense'])[0]!)).toBeUndefined();
  });

  test.each(['4:2', '0:4', 'csr', 'csr0', 'csr100', '3x1', '4x1:0', '4x1:100', '2;4', ''])(
    '%j is refused, and what could be said is told',
    (text) => {
      expect(() => parsePatterns([text])).toThrow(/^--patterns: expected dense, N:M .* csrPP .* 16x1/);
    },
  );

  test('a group that does not divide the inputs is refused before anything is packed', () => {
    expect(() => randomMask(parsePatterns(['2:4'])[0]!, 4, 6, new Random(0))).toThrow(
      '--patterns 2:4: expected inputs that are a multiple of 4',
    );
  });
});

describe('random masks', () => {
  const [rows, cols] = [128, 192];

  test('N:M keeps just n of every group, each place as often as another', () => {
    const keep = randomMask(parsePatterns(['2:8'])[0]!, rows, cols, new Random(1));
    const places = new Float64Array(8);
    for (let at = 0; at < keep.length; at += 8) {
      expect(keep.subarray(at, at + 8).reduce((n, k) => n + k, 0)).toBe(2);
      for (let i = 0; i < 8; i++) places[i]! += keep[at + i]!;
    }
    // A binomial of n = 3072 groups and p = 1/4: six standard deviations.
    for (const count of places) expect(Math.abs(count - 768)).toBeLessThan(6 * Math.sqrt((3072 * 3) / 16));
  });

  test('shares are what was asked for, within six standard deviations; blocks are whole', () => {
    for (const pattern of parsePatterns(['csr90', 'block'])) {
      const keep = randomMask(pattern, rows, cols, new Random(2));
      const { rows: R, cols: C } = pattern.kind === 'block' ? BLOCKS[pattern.block] : { rows: 1, cols: 1 };
      const trials = (rows * cols) / (R * C);
      const zeros = 1 - keep.reduce((n, k) => n + k, 0) / keep.length;
      expect(Math.abs(zeros - pattern.zeros)).toBeLessThan(6 * Math.sqrt((pattern.zeros * (1 - pattern.zeros)) / trials));
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) expect(keep[r * cols + c]).toBe(keep[(r - (r % R)) * cols + c - (c % C)]);
      }
    }
  });
});

describe('shapes', () => {
  test('a matrix is outputs x inputs', () => expect(parseMatrix('1536x576')).toEqual({ rows: 1536, cols: 576 }));

  test.each(['0x4', '4x0', '99999x99999'])('%s is refused', (text) => {
    expect(() => parseMatrix(text)).toThrow('--shapes: expected a matrix of 1 to 134217728 weights');
  });

  test('those of a model are its projections, each shape once', () => {
    const config = parseConfig(
      {
        model_type: 'llama',
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        vocab_size: 32,
      },
      'config',
    );
    expect(matricesOf(config)).toEqual([
      { rows: 64, cols: 64 },
      { rows: 32, cols: 64 },
      { rows: 96, cols: 64 },
      { rows: 64, cols: 96 },
    ]);
  });
});
