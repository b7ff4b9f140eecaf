import { describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { keptIn, nonZeros, patternOf, quadsOfElements, quadsOfMask } from '../../src/sparse/keepMask.ts';
import { MASKS } from '../kernels/data.ts';

const [ROWS, COLS] = [64, 96];

function named(keep: Uint8Array, cols: number): string {
  const rows = keep.length / cols;
  const quads = quadsOfMask(keep, rows, cols);
  return patternOf(quads, keptIn(quads), rows, cols);
}

describe('the name of a pattern', () => {
  test.each(['2:4', '4:8', '1:4', '3:4', 'dense'] as const)('%s is recognised', (name) => {
    expect(named(MASKS[name](new Random(1), ROWS, COLS), COLS)).toBe(name);
  });

  test.each(['50 %', '90 % sparse', 'empty rows'] as const)('%s is unstructured', (name) => {
    expect(named(MASKS[name](new Random(1), ROWS, COLS), COLS)).toBe('unstructured');
  });

  test('the strictest name wins: 1:4 is also 2:8, and 2:4 also 4:8', () => {
    expect(named(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 1), 8)).toBe('1:4');
    expect(named(Uint8Array.of(1, 1, 0, 0, 0, 0, 1, 1), 8)).toBe('2:4');
    expect(named(Uint8Array.of(1, 1, 1, 0, 0, 0, 0, 1), 8)).toBe('4:8');
  });

  test('one group too many is no N:M at all', () => {
    const keep = MASKS['2:4'](new Random(1), ROWS, COLS);
    const fourth = keep.subarray(0, 4).findIndex((k) => k === 0);
    keep[fourth] = 1;
    expect(named(keep, COLS)).toBe('unstructured');
  });

  test('a zero that a checkpoint happens to hold does not change it', () => {
    const keep = MASKS['2:4'](new Random(1), ROWS, COLS);
    keep[keep.indexOf(1)] = 0;
    expect(named(keep, COLS)).toBe('2:4');
  });

  test('a group may not span two rows: columns that are no multiple of it are unstructured', () => {
    expect(named(Uint8Array.of(1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0), 6)).toBe('unstructured');
  });

  test('nothing kept is unstructured, not any N:M', () => {
    expect(named(new Uint8Array(64), 16)).toBe('unstructured');
  });
});

test('non-zeros by type: both zeros are zeros, and no bit pattern else is', () => {
  expect(nonZeros('F32', Float32Array.of(0, -0, 1e-45, -1))).toEqual(Uint8Array.of(0, 0, 1, 1));
  expect(nonZeros('F16', Uint16Array.of(0, 0x8000, 1, 0xbc00))).toEqual(Uint8Array.of(0, 0, 1, 1));
  expect(nonZeros('BF16', Uint16Array.of(0, 0x8000, 1, 0xbf80))).toEqual(Uint8Array.of(0, 0, 1, 1));
});

test('quads hold a bit for each input, and none for what is not there', () => {
  expect(quadsOfElements('F32', Float32Array.of(1, 0, 0, 2, -0, 3, 0, 4, 5, 0, 0, 6), 2, 6)).toEqual(Uint8Array.of(9, 2, 6, 2));
  expect(quadsOfElements('BF16', Uint16Array.of(0x8000, 1, 0), 1, 3)).toEqual(Uint8Array.of(2));
  expect(quadsOfMask(Uint8Array.of(1, 1, 1, 1, 0, 1), 2, 3)).toEqual(Uint8Array.of(7, 5));
});
