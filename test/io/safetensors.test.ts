import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FormatError, OutputError, UnsupportedError } from '../../src/core/errors.ts';
import { openSafetensors, parseHeader, parseSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import { hasShared, sharedPath } from '../shared.ts';
import { temporaryDirectory } from './temporary.ts';

const directory = temporaryDirectory();
const file = (name: string): string => join(directory, name);

/** A file made by hand: any header, any data. */
function made(header: unknown, dataBytes = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const F32 = (shape: unknown, ...data_offsets: unknown[]): object => ({ dtype: 'F32', shape, data_offsets });

describe('each promise of the format, broken', () => {
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ['an empty file', new Uint8Array(0), /expected at least 8 bytes, got 0/],
    ['a file shorter than the length', new Uint8Array(7), /expected at least 8 bytes, got 7/],
    ['a header longer than the file', made({}).slice(0, 9), /header: expected 2 bytes, got 1\. The file is truncated/],
    ['a header above 100 MB', new Uint8Array(16).fill(0xff), /header: expected at most 100 MB/],
    ['a header that is not UTF-8', made('{"\u{fffd}":1}').map((b) => (b === 0xef ? 0xff : b)), /header: expected UTF-8/],
    ['a header that is not JSON', made('{"a":'), /header: not JSON/],
    ['a header that is no object', made('[1]'), /header: expected a JSON object, got a list of 1/],
    ['a tensor that is no object', made({ a: 7 }), /tensor "a": expected \{dtype, shape, data_offsets\}, got 7/],
    ['no dtype', made({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /tensor "a": dtype: expected a string, got nothing/],
    ['no shape', made({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), /shape: expected a list of whole numbers, got nothing/],
    ['a negative size', made({ a: F32([-1], 0, 4) }, 4), /shape: expected a list of whole numbers, got \[-1\]/],
    ['a size that is not whole', made({ a: F32([0.5], 0, 2) }, 2), /shape: expected a list of whole numbers, got \[0.5\]/],
    ['a size beyond 2^53', made({ a: F32([2 ** 40, 2 ** 40], 0, 4) }, 4), /shape: expected a size below 2\^53 bytes/],
    ['no offsets', made({ a: { dtype: 'F32', shape: [1] } }, 4), /data_offsets: expected \[begin, end\].*got nothing/],
    ['three offsets', made({ a: F32([1], 0, 4, 8) }, 4), /data_offsets: expected \[begin, end\]/],
    ['offsets that go backwards', made({ a: F32([1], 4, 0) }, 4), /begin <= end, got \[4,0\]/],
    ['offsets that contradict the shape', made({ a: F32([2], 0, 4) }, 4), /expected 8 bytes for F32 \[2\], got 4/],
    ['a gap', made({ a: F32([1], 0, 4), b: F32([1], 8, 12) }, 12), /"b" leaves a gap after "a": expected .* byte 4, got 8/],
    ['a gap before the first', made({ a: F32([1], 4, 8) }, 8), /"a" leaves a gap after the start/],
    ['an overlap', made({ a: F32([2], 0, 8), b: F32([1], 4, 8) }, 8), /"b" overlaps "a": expected .* byte 8, got 4/],
    ['truncated data', made({ a: F32([2], 0, 8) }, 7), /data: expected 8 bytes, got 7\. The file is truncated/],
    ['bytes after the last tensor', made({ a: F32([1], 0, 4) }, 5), /data: expected 4 bytes, got 5\. Bytes follow/],
    ['metadata that are not strings', made({ __metadata__: { n: 1 } }), /__metadata__: expected an object of strings/],
    [
      'a name twice',
      made('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
      /expected one entry, got two/,
    ],
  ];
  it.each(cases)('%s', (_, bytes, message) => {
    expect(() => parseHeader(bytes, bytes.length, 'm.safetensors')).toThrow(FormatError);
    expect(() => parseHeader(bytes, bytes.length, 'm.safetensors')).toThrow(message);
    expect(() => parseHeader(bytes, bytes.length, 'm.safetensors')).toThrow(/^m\.safetensors: /);
    // The same through a file, where only the header is read.
    fs.writeFileSync(file('bad'), bytes);
    expect(() => openSafetensors(file('bad'))).toThrow(message);
  });

  it('names a dtype that it does not read', () => {
    const bytes = made({ a: { dtype: 'F8_E4M3', shape: [1], data_offsets: [0, 1] } }, 1);
    expect(() => parseHeader(bytes)).toThrow(UnsupportedError);
    expect(() => parseHeader(bytes)).toThrow(/tensor "a": dtype: expected one of F64, .*got F8_E4M3/);
    // Not looked up on Object.prototype.
    expect(() => parseHeader(made({ a: { dtype: 'toString', shape: [], data_offsets: [0, 0] } }))).toThrow(UnsupportedError);
  });

  it('accepts what is odd but allowed', () => {
    const odd = made({ empty: F32([0, 3], 4, 4), scalar: F32([], 0, 4), __metadata__: null }, 4);
    const { tensors, metadata } = parseHeader(odd);
    expect([...tensors.keys()]).toEqual(['empty', 'scalar']);
    expect(metadata).toEqual({});
    expect(parseHeader(made('{}   ')).tensors.size).toBe(0);
  });
});

describe('reading', () => {
  it('says which file is missing, or is a directory', () => {
    expect(() => openSafetensors(file('none.safetensors'))).toThrow(/none\.safetensors: missing/);
    expect(() => openSafetensors(file('none.safetensors'))).toThrow(FormatError);
    expect(() => openSafetensors(directory)).toThrow(/a directory, not a file/);
  });

  it('copies unaligned data to where it is aligned, and reads no more than its range', () => {
    const bytes = made({ u: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, f: F32([2], 1, 9) }, 9);
    new DataView(bytes.buffer, bytes.length - 8).setFloat32(4, 1.5, true);
    fs.writeFileSync(file('odd'), bytes);
    const opened = openSafetensors(file('odd'));
    const reads = vi.spyOn(fs, 'readSync');
    for (const source of [opened, parseSafetensors(bytes)]) {
      const f = source.read('f');
      expect(f.byteOffset).toBe(0);
      expect([...new Float32Array(f.buffer)]).toEqual([0, 1.5]);
      f.fill(0);
      expect(source.read('f')[7]).not.toBe(0);
    }
    expect(reads.mock.calls.map((call) => call[3 as never])).toEqual([8, 8]);
    reads.mockRestore();
    expect(() => opened.read('g')).toThrow(/no tensor "g"/);
    opened.close();
    opened.close();
    expect(() => opened.read('f')).toThrow(/read after close/);
  });

  it('sees a file that became shorter while it was open', () => {
    fs.writeFileSync(file('shrinks'), made({ a: F32([2], 0, 8) }, 8));
    const opened = openSafetensors(file('shrinks'));
    fs.truncateSync(file('shrinks'), fs.statSync(file('shrinks')).size - 1);
    expect(() => opened.read('a')).toThrow(/expected 8 bytes, got 7/);
    opened.close();
  });

  it.skipIf(!hasShared)('reads what safetensors itself wrote', () => {
    const golden = openSafetensors(sharedPath('golden', 'kernels.safetensors'));
    expect(golden.info('nm24_odd.W')).toMatchObject({ dtype: 'F32', shape: [53, 76] });
    const inMemory = parseSafetensors(fs.readFileSync(sharedPath('golden', 'kernels.safetensors')));
    for (const name of golden.names()) expect(Buffer.compare(golden.read(name), inMemory.read(name))).toBe(0);
    golden.close();
  });
});

describe('writing', () => {
  afterEach(() => vi.restoreAllMocks());

  it('gives back what it was given, aligned, with metadata', () => {
    const floats = Float32Array.of(1, -0, NaN, 2 ** -149);
    const tensors = [
      { name: 'bytes', dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      { name: 'halves', dtype: 'BF16', shape: [1, 2], data: Uint8Array.of(1, 2, 3, 4) },
      { name: 'floats', dtype: 'F32', shape: [2, 2], data: () => new Uint8Array(floats.buffer) },
      { name: '__proto__', dtype: 'I64', shape: [], data: new Uint8Array(8) },
      { name: 'none', dtype: 'F64', shape: [0], data: new Uint8Array(0) },
    ];
    writeSafetensors(file('round'), tensors, { format: 'pt' });
    const opened = openSafetensors(file('round'));
    expect(opened.metadata).toEqual({ format: 'pt' });
    for (const { name, dtype, shape, data } of tensors) {
      expect(opened.info(name)).toMatchObject({ dtype, shape });
      expect(opened.read(name)).toEqual(Uint8Array.from(typeof data === 'function' ? data() : data));
    }
    const { dataStart } = parseHeader(fs.readFileSync(file('round')));
    expect(dataStart % 8).toBe(0);
    expect(opened.tensors.get('floats')!.begin % 4).toBe(0);
    expect(opened.tensors.get('halves')!.begin % 2).toBe(0);
    opened.close();
  });

  it('refuses what would not be a file of the format', () => {
    const write =
      (...tensors: { name?: string; dtype?: string; shape?: number[]; data?: Uint8Array }[]) =>
      (): void =>
        writeSafetensors(
          file('refused'),
          tensors.map((t) => ({ name: 'a', dtype: 'U8', shape: [1], data: new Uint8Array(1), ...t })),
        );
    expect(write({}, {})).toThrow(/name of a tensor: expected one not in use, got "a"/);
    expect(write({ name: '__metadata__' })).toThrow(RangeError);
    expect(write({ dtype: 'F7' })).toThrow(/expected a known dtype and a shape of whole numbers, got F7 \[1\]/);
    expect(write({ shape: [0.5] })).toThrow(RangeError);
    expect(write({ shape: [2] })).toThrow(/tensor "a": expected 2 bytes for U8 \[2\], got 1/);
    expect(fs.readdirSync(directory).filter((name) => name.includes('refused'))).toEqual([]);
  });

  it('leaves the old file, and nothing else, when the disk is full half way', () => {
    const target = file('full.safetensors');
    fs.writeFileSync(target, 'old');
    const real = fs.writeSync.bind(fs) as (...args: unknown[]) => number;
    let calls = 0;
    vi.spyOn(fs, 'writeSync').mockImplementation((...args: unknown[]) => {
      if (++calls === 2) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      return real(...args);
    });
    const write = (): void => writeSafetensors(target, [{ name: 'a', dtype: 'U8', shape: [4], data: new Uint8Array(4) }]);
    expect(write).toThrow(OutputError);
    calls = 0;
    expect(write).toThrow(/full\.safetensors: cannot be written: no space left on the device/);
    expect(fs.readFileSync(target, 'utf8')).toBe('old');
    expect(fs.readdirSync(directory).filter((name) => name.includes('full'))).toEqual(['full.safetensors']);
  });
});
