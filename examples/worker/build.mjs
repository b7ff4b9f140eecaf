// Makes out/worker: worker.js with the kernels beside it, and model/, the quick start's Llama pruned to 2:4, for the bucket.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prune } from 'lors-wasm';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds into a directory. */
export async function buildWorker(out = join(root, 'out', 'worker')) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const bundle = await rolldown({
    input: fileURLToPath(new URL('worker.ts', import.meta.url)),
    platform: 'browser',
    plugins: [
      {
        name: 'wasm-modules',
        resolveId: (/** @type {string} */ id) => {
          const flavour = /^lors-wasm\/(.*\.wasm)$/.exec(id)?.[1];
          return flavour ? { id: `./${flavour}`, external: true } : null;
        },
      },
    ],
  });
  // One file: a Worker's modules are listed, and chunks would have to be.
  await bundle.write({ file: join(out, 'worker.js'), minify: true, codeSplitting: false });
  for (const flavour of ['plain', 'relaxed']) copyFileSync(join(root, 'build', `${flavour}.wasm`), join(out, `${flavour}.wasm`));
  await prune({
    model: join(root, 'examples', 'quickstart', 'model'),
    out: join(out, 'model'),
    method: 'magnitude',
    sparsity: '2:4',
    threads: 1,
  });
  return out;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(`Built ${await buildWorker(process.argv[2])}`);
