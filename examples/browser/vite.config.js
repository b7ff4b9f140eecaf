// One static page. It works from any folder of any server; the headers below are what gives it threads.
import { defineConfig } from 'vite';
import { mobyDickChapters } from '../quickstart/text.mjs';

/** What makes a page cross-origin isolated: only such a page may share memory between threads. */
export const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const TEXT = 'virtual:moby-dick';

/** What plugins take is nobody's concern here. */
const QUIET = { checks: { bundlerTimings: false } };

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  publicDir: false,
  build: {
    emptyOutDir: true,
    target: 'es2022',
    // Files stay files: the page's policy lets it fetch from its own server and from nowhere else.
    assetsInlineLimit: 0,
    rolldownOptions: QUIET,
    license: { fileName: 'licences.md' },
  },
  worker: { format: 'es', rolldownOptions: QUIET, plugins: () => [mobyDick()] },
  plugins: [mobyDick()],
  server: { headers: ISOLATION },
});

/** The chapters of Moby Dick as rows, from the same package as the quick start's. @returns {import('vite').Plugin} */
function mobyDick() {
  return {
    name: 'moby-dick',
    resolveId: (id) => (id === TEXT ? `\0${TEXT}` : undefined),
    load: (id) => {
      if (id !== `\0${TEXT}`) return undefined;
      const rows = (/** @type {string[]} */ chapters) => chapters.map((text) => ({ kind: 'text', text }));
      const { train, valid } = mobyDickChapters();
      return `export const mobyDick = JSON.parse(${JSON.stringify(JSON.stringify({ train: rows(train), valid: rows(valid) }))});`;
    },
  };
}
