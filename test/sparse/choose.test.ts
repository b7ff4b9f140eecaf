import { describe, expect, test } from 'vitest';
import type { Flavour } from '../../src/core/flavour.ts';
import { Random } from '../../src/core/random.ts';
import { chooseFormat } from '../../src/sparse/choose.ts';
import { pack } from '../../src/sparse/pack.ts';
import { MASKS, gaussians, masked } from '../kernels/data.ts';

const FLAVOURS: readonly Flavour[] = ['plain', 'relaxed', 'wide'];

describe('the table', () => {
  test.each([
    ['unstructured', 0.39, ['csr', 'csr', 'csr']],
    ['unstructured', 0.42, ['quad', 'csr', 'csr']],
    ['unstructured', 0.46, ['quad', 'quad', 'quad']],
    ['4:8', 0.5, ['quad', 'quad', 'quad']],
    ['1:4', 0.25, ['csr', 'csr', 'csr']],
    ['2:4', 0.5, ['quad', 'quad', 'quad']],
    ['1:2', 0.5, ['quad', 'quad', 'quad']],
    ['4x4', 0.3, ['block', 'block', 'block']],
    ['dense', 1, ['dense', 'dense', 'dense']],
  ] as const)('%s at %d goes to %s on plain, relaxed and wide kernels', (pattern, density, formats) => {
    expect(FLAVOURS.map((flavour) => chooseFormat(pattern, density, flavour, 'F32'))).toEqual(formats);
  });
});

describe('one token', () => {
  const CASES = [
    ['2:4', 0.5],
    ['unstructured', 0.97],
    ['1:4', 0.25],
    ['4x4', 0.3],
    ['dense', 1],
  ] as const;

  test.each([
    ['F32', ['csr', 'dense', 'csr', 'block', 'dense']],
    ['F16', ['dense', 'dense', 'csr', 'block', 'dense']],
    ['BF16', ['dense', 'dense', 'csr', 'block', 'dense']],
  ] as const)('takes no quads, and zeros in place where they cost less than looking inputs up: %s', (dtype, formats) => {
    expect(CASES.map(([pattern, density]) => chooseFormat(pattern, density, 'one token', dtype))).toEqual(formats);
  });

  test('in few bytes takes CSR for every mask but blocks and none', () => {
    const formats = CASES.map(([pattern, density]) => chooseFormat(pattern, density, 'one token, few bytes', 'BF16'));
    expect(formats).toEqual(['csr', 'csr', 'csr', 'block', 'dense']);
  });
});

describe('packing', () => {
  const formatOf = (name: keyof typeof MASKS, flavour?: Flavour): string => {
    const keep = MASKS[name](new Random(1), 64, 96);
    return pack('F32', masked(gaussians(new Random(2), 64 * 96), keep), 64, 96, { packedFor: flavour }).format;
  };

  test('goes by the mask and the flavour: 42 % kept', () => {
    const keep = Uint8Array.from({ length: 64 * 96 }, (_, i) => Number((i * 29) % 50 < 21));
    const elements = masked(gaussians(new Random(2), 64 * 96), keep);
    expect(FLAVOURS.map((packedFor) => pack('F32', elements, 64, 96, { packedFor }).format)).toEqual(['quad', 'csr', 'csr']);
    expect((['2:4', '1:4', '90 % sparse', 'dense'] as const).map((name) => formatOf(name, 'plain'))).toEqual([
      'quad',
      'csr',
      'csr',
      'dense',
    ]);
  });

  test('is for relaxed kernels where nobody says, on any host', () => {
    expect(formatOf('50 %')).toBe(formatOf('50 %', 'relaxed'));
  });
});
