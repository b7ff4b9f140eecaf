import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { REFERENCE } from '../../src/kernels/reference/table.ts';
import type { KernelName } from '../../src/kernels/table.ts';
import { SIGNATURES } from '../../src/program/signatures.ts';
import { KernelCall, eachFlavour } from './harness.ts';

const declarations = readFileSync(new URL('../../build/plain.d.ts', import.meta.url), 'utf8');

/** Parameter names of every kernel, as the compiler wrote them. */
const compiled = Object.fromEntries(
  [...declarations.matchAll(/export function (\w+)\(([^)]*)\): void;/g)].map(([, name, parameters]) => [
    name!,
    parameters!.split(', ').map((parameter) => parameter.split(':')[0]!),
  ]),
);

describe('the signature table', () => {
  test('names every parameter of every kernel, in order: a swapped pair would be silent', () => {
    const table = Object.fromEntries(Object.entries(SIGNATURES).map(([name, roles]) => [name, [...Object.keys(roles), 'begin', 'end']]));
    expect(table).toEqual(compiled);
  });

  test('each oracle takes exactly its parameters', () => {
    for (const [name, parameters] of Object.entries(compiled))
      expect([name, REFERENCE[name as KernelName].length]).toEqual([name, parameters.length]);
  });
});

eachFlavour((flavour) => {
  describe('the harness itself', () => {
    test('notices a write beyond a buffer', () => {
      const call = new KernelCall('clear', 3, { x: 512 });
      expect(() => call.run(flavour)).toThrow('clear');
      expect(() => call.run(flavour)).toThrow('byte 2048 of x');
    });

    test('notices a write before a buffer', () => {
      // Slot -16 of tokens of one feature: 64 bytes before the cache.
      const slots = new Uint32Array(16).fill(0xffffffff).fill(-16, 0, 1);
      const call = new KernelCall('storeTokens', 1, { cache: new Float32Array(16), x: new Float32Array(16), slots, K: 1 });
      expect(() => call.run(flavour)).toThrow('byte -64 of cache');
    });
  });
});
