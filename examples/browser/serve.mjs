// Builds the page and serves it on a free port:
//
//   npm run example:browser            (in a bare clone: installs and builds first)
//
import { fileURLToPath } from 'node:url';
import { build, preview } from 'vite';
import config, { ISOLATION } from './vite.config.js';

const OUT = fileURLToPath(new URL('../../out/browser', import.meta.url));

/** Builds the page. @param {string} [outDir] */
export async function buildPage(outDir = OUT) {
  await build({ ...config, configFile: false, logLevel: 'warn', build: { ...config.build, outDir } });
}

/**
 * Serves what was built. Without isolation, as on a server that sets no headers, the page has no threads.
 * @param {'isolated' | 'plain'} [headers]
 * @param {string} [outDir]
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function servePage(headers = 'isolated', outDir = OUT) {
  const server = await preview({
    ...config,
    configFile: false,
    logLevel: 'warn',
    build: { outDir },
    preview: { port: 0, host: '127.0.0.1', headers: headers === 'plain' ? {} : ISOLATION },
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('The server has no address.');
  return { url, close: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPage();
  const { url } = await servePage();
  console.log(`The page is at ${url}\nCtrl-C ends it.`);
}
