import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SIGNATURES } from '../../src/program/signatures.ts';

const SECTIONS = [
  'custom',
  'type',
  'import',
  'function',
  'table',
  'memory',
  'global',
  'export',
  'start',
  'element',
  'code',
  'data',
  'data count',
  'tag',
];
/** What asc may leave for tools: where sources are, and which features the module needs. */
const CUSTOM = ['sourceMappingURL', 'target_features', 'name', 'producers'];

interface Section {
  readonly name: string;
  readonly body: Reader;
}

/** Walks bytes of a WebAssembly module. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(n: number): Uint8Array {
    this.#at += n;
    return this.#bytes.subarray(this.#at - n, this.#at);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** An unsigned LEB128 number. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  text(): string {
    return new TextDecoder().decode(this.take(this.number()));
  }
}

function sectionsOf(path: URL): Section[] {
  const reader = new Reader(new Uint8Array(readFileSync(path)));
  expect([...reader.take(8)]).toEqual([0, 97, 115, 109, 1, 0, 0, 0]);
  const sections: Section[] = [];
  while (!reader.done) {
    const id = reader.byte();
    const body = new Reader(reader.take(reader.number()));
    sections.push({ name: SECTIONS[id] ?? `section ${id}`, body });
  }
  return sections;
}

describe.each(['plain', 'relaxed', 'wide', 'plain-shared', 'relaxed-shared', 'wide-shared'])('build/%s.wasm', (name) => {
  const sections = sectionsOf(new URL(`../../build/${name}.wasm`, import.meta.url));

  test('is pure code: no data, no globals, no start, no table, no memory of its own', () => {
    expect(sections.map((section) => section.name).filter((section) => section !== 'custom')).toEqual([
      'type',
      'import',
      'function',
      'export',
      'code',
    ]);
    for (const { name: section, body } of sections) if (section === 'custom') expect(CUSTOM).toContain(body.text());
  });

  test('imports one thing, the memory, shared where its name says so', () => {
    const { body } = sections.find((section) => section.name === 'import')!;
    expect([body.number(), body.text(), body.text(), body.byte()]).toEqual([1, 'env', 'memory', 2]);
    // Bit 1 of the limits' flags is sharedness, bit 0 a maximum.
    expect(body.byte()).toBe(name.endsWith('-shared') ? 3 : 1);
  });

  test('exports the kernels of the signature table and nothing else', () => {
    const { body } = sections.find((section) => section.name === 'export')!;
    const exported = Array.from({ length: body.number() }, () => {
      const kernel = body.text();
      expect(body.byte()).toBe(0);
      body.number();
      return kernel;
    });
    expect(exported.sort()).toEqual(Object.keys(SIGNATURES).sort());
  });
});
