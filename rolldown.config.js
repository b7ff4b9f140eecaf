// The script of report.html: src/bench/page and its plotting library in one file, which needs nothing from a network.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The licences of the packages that are in a chunk, each text once: they ask to go with every copy.
 * @param {string[]} modules
 */
function licences(modules) {
  const folders = new Set(modules.flatMap((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.replaceAll('\\', '/'))?.[0] ?? []));
  /** @type {Map<string, string[]>} */
  const texts = new Map();
  for (const folder of [...folders].sort()) {
    const file = ['LICENSE', 'LICENSE.md', 'UNLICENSE'].map((name) => join(folder, name)).find(existsSync);
    if (!file) throw new Error(`${folder}: expected a licence beside what is bundled, got none.`);
    const text = readFileSync(file, 'utf8').trim();
    texts.set(text, [...(texts.get(text) ?? []), folder.replace(/^.*\/node_modules\//, '')]);
  }
  return [...texts].map(([text, names]) => `${names.join(', ')}:\n${text}`).join('\n\n');
}

export default {
  input: 'src/bench/page/main.ts',
  platform: 'browser',
  tsconfig: 'src/bench/page/tsconfig.json',
  output: { file: 'build/report.js', format: 'iife', name: 'lorsReport', minify: true },
  plugins: [
    {
      name: 'licences',
      /** @param {unknown} _options @param {Record<string, { code: string, modules: Record<string, unknown> }>} bundle */
      generateBundle(_options, bundle) {
        for (const chunk of Object.values(bundle)) chunk.code = `/*!\n${licences(Object.keys(chunk.modules))}\n*/\n${chunk.code}`;
      },
    },
  ],
};
