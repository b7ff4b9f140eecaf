import { describe, expect, test } from 'vitest';
import { codeOf, importsOf, resolved, sourceFiles } from './sources.ts';
import type { SourceFile } from './sources.ts';

/**
 * A file imports only from rows above its own, and on its own row only inside its own folder. Folders of src, and files
 * that stand in src itself.
 */
const ROWS: readonly (readonly string[])[] = [
  ['core'],
  ['sparse', 'quant', 'memory', 'kernels'],
  ['program'],
  ['nn', 'adapters', 'runtime'],
  ['models'],
  ['io', 'threads'],
  ['prune', 'train', 'generate'],
  ['tasks'],
  ['bench'],
  ['cli', 'index', 'edge', 'browser', 'kernelLevel'],
];

/** Folders and files that may touch files, processes and threads of Node: io, threads and what stands above them. */
const HOST_ROW = ROWS.findIndex((row) => row.includes('io'));
const HOST_MODULES = /^(?:node:)?(?:fs|fs\/promises|worker_threads|child_process|cluster|os|process|net|http|https)$|^piscina$/;

const files = sourceFiles('src');

/** `kernels` of src/kernels/load.ts, `index` of src/index.ts. */
function layerOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '');
}

function rowOf(path: string): number {
  return ROWS.findIndex((row) => row.includes(layerOf(path)));
}

function relativeImports(file: SourceFile): string[] {
  return importsOf(file)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => resolved(file.path, specifier))
    .filter((path, i, all) => path.startsWith('src/') && all.indexOf(path) === i);
}

const byPath = new Map(files.map((file) => [file.path, file]));

/** Files, and all that they import, directly or not. */
function reachedFrom(paths: readonly string[]): Set<string> {
  const reached = new Set(paths);
  for (const path of reached) for (const to of relativeImports(byPath.get(path)!)) reached.add(to);
  return reached;
}

describe('the layers', () => {
  test('every folder and file of src has a row', () => {
    expect([...new Set(files.map(({ path }) => layerOf(path)))].filter((layer) => !ROWS.flat().includes(layer))).toEqual([]);
  });

  test('a file imports only from rows above, and on its own row only inside its own folder', () => {
    const broken = files.flatMap((file) =>
      relativeImports(file)
        .filter((to) => rowOf(to) >= rowOf(file.path) && layerOf(to) !== layerOf(file.path))
        .map((to) => `${file.path} imports ${to}`),
    );
    expect(broken).toEqual([]);
  });

  test('the import graph that this sees is that of the files: all of it resolves', () => {
    const paths = new Set(files.map(({ path }) => path));
    const missing = files.flatMap((file) =>
      relativeImports(file)
        .filter((to) => !paths.has(to))
        .map((to) => `${file.path} imports ${to}`),
    );
    expect(missing).toEqual([]);
    expect(files.flatMap(relativeImports).length).toBeGreaterThan(files.length);
  });

  test('nothing below io and threads touches files, processes or threads', () => {
    const touching = files.filter((file) => importsOf(file).some((specifier) => HOST_MODULES.test(specifier)));
    const broken = touching.map(({ path }) => path).filter((path) => rowOf(path) < HOST_ROW);
    expect(broken).toEqual([]);
  });

  test('what measures for lors bench runs where there is no Node: nothing that it reaches touches files, processes or threads', () => {
    const reached = reachedFrom([
      'src/bench/run.ts',
      'src/bench/quick.ts',
      'src/bench/patterns.ts',
      'src/bench/shapes.ts',
      'src/bench/compare.ts',
      'src/bench/csv.ts',
    ]);
    expect(reached.size).toBeGreaterThan(20);
    const touching = [...reached].filter((path) => importsOf(byPath.get(path)!).some((specifier) => HOST_MODULES.test(specifier)));
    expect(touching).toEqual([]);
  });

  test('the edge entry imports nothing of Node, no thread and no file, whatever it reaches; and makes no code from text', () => {
    const reached = reachedFrom(['src/edge.ts']);
    expect(reached.size).toBeGreaterThan(60);
    const imported = [...reached].flatMap((path) => importsOf(byPath.get(path)!).map((specifier) => ({ path, specifier })));
    const packages = new Set(imported.map(({ specifier }) => specifier).filter((specifier) => !specifier.startsWith('.')));
    expect([...packages].sort()).toEqual(['@assemblyscript/loader', '@huggingface/jinja', '@huggingface/tokenizers']);
    expect([...reached].filter((path) => path.startsWith('src/threads/') || path.startsWith('src/cli/'))).toEqual([]);
    const globals = [...reached].filter((path) =>
      /\bnew Function\b|\beval\(|\bprocess\.|\bBuffer\b|\bsetImmediate\b/.test(codeOf(byPath.get(path)!)),
    );
    expect(globals).toEqual([]);
  });

  test('the browser entry and the script of its threads import nothing of Node, whatever they reach', () => {
    const reached = reachedFrom(['src/browser.ts', 'src/threads/webWorker.ts']);
    expect(reached.has('src/threads/control.ts')).toBe(true);
    const packages = [...reached].flatMap((path) => importsOf(byPath.get(path)!)).filter((specifier) => !specifier.startsWith('.'));
    expect([...new Set(packages)].sort()).toEqual(['@assemblyscript/loader', 'tinybench']);
  });

  test('exactly one file instantiates WebAssembly', () => {
    expect(files.filter((file) => importsOf(file).includes('@assemblyscript/loader')).map(({ path }) => path)).toEqual([
      'src/kernels/load.ts',
    ]);
    expect(files.filter((file) => /WebAssembly\.(?:instantiate|Instance)\b/.test(codeOf(file))).map(({ path }) => path)).toEqual([]);
  });
});

describe('the files', () => {
  test('none is longer than 400 lines', () => {
    const long = [...files, ...sourceFiles('assembly')].filter(({ text }) => text.split('\n').length > 401);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test('the flavour of SIMD is named in lanes.ts alone', () => {
    const naming = sourceFiles('assembly').filter(({ text }) => /ASC_FEATURE_|relaxed_/.test(text));
    expect(naming.map(({ path }) => path)).toEqual(['assembly/lanes.ts']);
  });

  test('no kernel source allocates or calls the maths of AssemblyScript, which drags in tables', () => {
    const broken = sourceFiles('assembly').filter(({ text }) =>
      /\bMathf\.|\bnew [A-Z]|\bnameof\b|Math\.(?!sqrt\b)/.test(text.replaceAll(/\/\/.*$|\/\*[\s\S]*?\*\//gm, '')),
    );
    expect(broken.map(({ path }) => path)).toEqual([]);
  });
});
