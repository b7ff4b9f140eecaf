import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OutputError } from '../../src/core/errors.ts';
import { createOutputDirectory, stageDirectory, stageFiles, writeFileAtomic } from '../../src/io/atomic.ts';
import { temporaryDirectory } from './temporary.ts';

const root = temporaryDirectory();
let directory: string;
let count = 0;

beforeEach(() => {
  directory = join(root, `case-${count++}`);
  fs.mkdirSync(directory);
});
afterEach(() => vi.restoreAllMocks());

const path = (...parts: string[]): string => join(directory, ...parts);
const put = (text: string, ...parts: string[]): void => {
  fs.mkdirSync(join(path(...parts), '..'), { recursive: true });
  fs.writeFileSync(path(...parts), text);
};
/** All files, with their text. */
const tree = (): Record<string, string> =>
  Object.fromEntries(
    (fs.readdirSync(directory, { recursive: true }) as string[])
      .filter((name) => fs.statSync(path(name)).isFile())
      .map((name) => [name, fs.readFileSync(path(name), 'utf8')]),
  );

/** Makes a file system function fail, at its nth call. */
function fail(name: 'fsyncSync' | 'renameSync' | 'openSync' | 'mkdirSync', code: string, nth = 1): void {
  const real = fs[name].bind(fs) as (...args: unknown[]) => unknown;
  let calls = 0;
  const fake = (...args: unknown[]): unknown => {
    if (++calls === nth) throw Object.assign(new Error(`${code}: made for the test`), { code });
    return real(...args);
  };
  vi.spyOn(fs, name).mockImplementation(fake);
}

describe('writeFileAtomic', () => {
  it('writes text and bytes, over an old file too', () => {
    writeFileAtomic(path('a'), ['x', Uint8Array.of(0x79), 'é']);
    expect(tree()).toEqual({ a: 'xyé' });
    writeFileAtomic(path('a'), ['new']);
    expect(tree()).toEqual({ a: 'new' });
  });

  it('goes on where the system writes a part of what it was given', () => {
    const real = fs.writeSync.bind(fs) as (...args: unknown[]) => number;
    vi.spyOn(fs, 'writeSync').mockImplementation(((fd: number, bytes: Uint8Array, from: number) =>
      real(fd, bytes, from, 1)) as typeof fs.writeSync);
    writeFileAtomic(path('a'), ['abc']);
    expect(tree()).toEqual({ a: 'abc' });
  });

  it.each([
    ['fsyncSync', 'ENOSPC', /a: cannot be written: no space left on the device/],
    ['fsyncSync', 'EDQUOT', /no space left in the quota/],
    ['renameSync', 'EPERM', /no permission/],
    ['openSync', 'EACCES', /no permission/],
    ['openSync', 'EROFS', /no permission \(a read-only file system\)/],
    ['openSync', 'EWEIRD', /EWEIRD: made for the test/],
  ] as const)('%s failing with %s changes nothing', (name, code, message) => {
    put('old', 'a');
    fail(name, code);
    expect(() => writeFileAtomic(path('a'), ['new'])).toThrow(message);
    expect(tree()).toEqual({ a: 'old' });
  });

  it('says so where the parent is a file, missing, or the target a directory', () => {
    put('', 'file');
    expect(() => writeFileAtomic(path('file', 'a'), ['x'])).toThrow(/a part of the path is a file/);
    expect(() => writeFileAtomic(path('none', 'a'), ['x'])).toThrow(/no such directory/);
    put('', 'full', 'x');
    expect(() => writeFileAtomic(path('full'), ['x'])).toThrow(OutputError);
    expect(Object.keys(tree())).toEqual(['file', join('full', 'x')]);
  });

  it('throws on what making the parts throws, and leaves nothing', () => {
    const parts = function* (): Iterable<string> {
      yield 'half';
      throw new RangeError('a tensor that cannot be made');
    };
    expect(() => writeFileAtomic(path('a'), parts())).toThrow(RangeError);
    expect(tree()).toEqual({});
  });
});

describe('createOutputDirectory', () => {
  it('makes it with its parents, and takes an empty one', () => {
    createOutputDirectory(path('a', 'b'), 'refuse');
    createOutputDirectory(path('a', 'b'), 'refuse');
    expect(fs.statSync(path('a', 'b')).isDirectory()).toBe(true);
  });

  it('keeps what is there unless told', () => {
    put('precious', 'out', 'file');
    expect(() => createOutputDirectory(path('out'), 'refuse')).toThrow(OutputError);
    expect(() => createOutputDirectory(path('out'), 'refuse')).toThrow(
      /a new or empty directory, got one with 1 entry\. Give --overwrite .* --resume/,
    );
    createOutputDirectory(path('out'), 'allow');
    expect(tree()).toEqual({ [join('out', 'file')]: 'precious' });
  });

  it('refuses a file in the way', () => {
    put('', 'file');
    expect(() => createOutputDirectory(path('file'), 'allow')).toThrow(/a file is in the way/);
    expect(() => createOutputDirectory(path('file', 'a'), 'allow')).toThrow(/a part of the path is a file/);
  });

  it('takes back what it made, where nothing came into it', () => {
    put('', 'there', 'file');
    createOutputDirectory(path('there', 'a', 'b'), 'refuse')();
    expect(fs.readdirSync(path('there'))).toEqual(['file']);
    const takeBack = createOutputDirectory(path('there', 'a', 'b'), 'refuse');
    put('kept', 'there', 'a', 'other');
    takeBack();
    expect(fs.readdirSync(path('there', 'a'))).toEqual(['other']);
  });

  it('takes back nothing that was there, empty or not, wherever the path leads', () => {
    fs.mkdirSync(path('empty'));
    createOutputDirectory(path('empty'), 'refuse')();
    createOutputDirectory(`${path('new')}/../empty`, 'refuse')();
    createOutputDirectory(`${path('new')}/../empty/out`, 'refuse')();
    expect(fs.existsSync(path('empty'))).toBe(true);
    fs.mkdirSync(path('else', 'where'), { recursive: true });
    fs.symlinkSync(path('else', 'where'), path('link'));
    fs.mkdirSync(path('out'));
    createOutputDirectory(`${path('link')}/../out`, 'refuse')();
    expect([fs.existsSync(path('out')), fs.existsSync(path('else', 'out'))]).toEqual([true, false]);
    createOutputDirectory(`${path('link', 'a', 'b')}/`, 'refuse')();
    expect(fs.readdirSync(path('else', 'where'))).toEqual([]);
  });

  it('takes back what it made, though the working directory is another by then', () => {
    const before = process.cwd();
    try {
      process.chdir(directory);
      fs.mkdirSync(path('other', 'a'), { recursive: true });
      const takeBack = createOutputDirectory('a', 'refuse');
      process.chdir(path('other'));
      takeBack();
    } finally {
      process.chdir(before);
    }
    expect([fs.existsSync(path('a')), fs.existsSync(path('other', 'a'))]).toEqual([false, true]);
  });

  it('says before the work that there is no permission', () => {
    vi.spyOn(fs, 'accessSync').mockImplementation(() => {
      throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    });
    expect(() => createOutputDirectory(path('a'), 'allow')).toThrow(/no permission/);
  });
});

describe('stageDirectory', () => {
  it('shows nothing before commit, and all of it after', () => {
    const stage = stageDirectory(path('runs', 'checkpoint-1'));
    fs.writeFileSync(join(stage.path, 'a'), '1');
    expect(fs.existsSync(path('runs', 'checkpoint-1'))).toBe(false);
    stage.commit();
    stage.abort();
    expect(tree()).toEqual({ [join('runs', 'checkpoint-1', 'a')]: '1' });
    expect(() => stage.commit()).toThrow(/committed or aborted before/);
  });

  it('replaces an old one whole', () => {
    put('old', 'c', 'gone');
    const stage = stageDirectory(path('c'));
    fs.writeFileSync(join(stage.path, 'a'), 'new');
    stage.commit();
    expect(tree()).toEqual({ [join('c', 'a')]: 'new' });
  });

  it('leaves nothing when aborted', () => {
    const stage = stageDirectory(path('c'));
    fs.writeFileSync(join(stage.path, 'a'), 'half');
    stage.abort();
    stage.abort();
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('puts the old one back where the rename fails', () => {
    put('old', 'c', 'a');
    const stage = stageDirectory(path('c'));
    fail('renameSync', 'EACCES', 2);
    expect(() => stage.commit()).toThrow(OutputError);
    stage.abort();
    expect(tree()).toEqual({ [join('c', 'a')]: 'old' });
    expect(fs.readdirSync(directory)).toEqual(['c']);
  });

  it('says so where it cannot be made', () => {
    put('', 'file');
    expect(() => stageDirectory(path('file', 'c'))).toThrow(/cannot be written: a file is in the way/);
  });
});

describe('stageFiles', () => {
  it('puts files beside others, all at the end', () => {
    put('log', 'out', 'log');
    put('old', 'out', 'a');
    const stage = stageFiles(path('out'));
    fs.writeFileSync(join(stage.path, 'a'), 'new');
    expect(fs.readFileSync(path('out', 'a'), 'utf8')).toBe('old');
    stage.commit();
    expect(tree()).toEqual({ [join('out', 'a')]: 'new', [join('out', 'log')]: 'log' });
    expect(fs.readdirSync(path('out'))).toEqual(['a', 'log']);
  });

  it('takes back the directory it made, and only that', () => {
    stageFiles(path('new')).abort();
    expect(fs.readdirSync(directory)).toEqual([]);
    put('log', 'out', 'log');
    stageFiles(path('out')).abort();
    expect(tree()).toEqual({ [join('out', 'log')]: 'log' });
  });
});
