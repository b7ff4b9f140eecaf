/** The source files of the project, and what they import. */
import { readFileSync, readdirSync } from 'node:fs';

const ROOT = new URL('../../', import.meta.url);

export interface SourceFile {
  /** From the root: `src/io/json.ts`. */
  readonly path: string;
  readonly text: string;
}

/** Every TypeScript file of a folder, at any depth. */
export function sourceFiles(folder: 'src' | 'assembly'): SourceFile[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const path = `${folder}/${name.replaceAll('\\', '/')}`;
      return { path, text: readFileSync(new URL(path, ROOT), 'utf8') };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A file without its comments, but for those at the end of a line. */
export function codeOf({ text }: SourceFile): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

/** What a file imports or exports from, also as a type, by a dynamic import or as a URL beside it. */
export function importsOf(file: SourceFile): string[] {
  const code = codeOf(file);
  const statements = code.matchAll(/^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]/gm);
  const dynamic = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g);
  const urls = code.matchAll(/\bnew URL\(\s*['"](\.[^'"]+\.[jt]s)['"]\s*,\s*import\.meta\.url/g);
  return [...statements, ...dynamic, ...urls].map((match) => (match[1] ?? match[2])!);
}

/** The path that a relative import leads to, from the root. */
export function resolved(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
