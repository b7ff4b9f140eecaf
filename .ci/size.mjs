// What a page or a Worker has to load for `lors-wasm/edge`, bundled, minified and compressed. Fails where the entry, with all that it
// imports at once, and the larger of the two kernel modules are more than 60 kB. The libraries that it imports when they are needed
// (chunks of their own) are told beside it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const MOST = 60_000;
const root = fileURLToPath(new URL('..', import.meta.url));

/** @param {string | Uint8Array} data */
const zipped = (data) => gzipSync(data, { level: 9 }).length;

const bundle = await rolldown({ input: `${root}src/edge.ts`, platform: 'browser', cwd: root });

/** @param {import('rolldown').OutputOptions} options */
async function chunksOf(options) {
  const { output } = await bundle.generate({ minify: true, ...options });
  const chunks = new Map(output.flatMap((part) => (part.type === 'chunk' ? [[part.fileName, part]] : [])));
  const entry = [...chunks.values()].find((chunk) => chunk.isEntry);
  if (!entry) throw new Error('edge: expected an entry chunk, got none.');
  const atOnce = new Set([entry.fileName]);
  for (const name of atOnce) for (const to of chunks.get(name)?.imports ?? []) if (chunks.has(to)) atOnce.add(to);
  return { chunks, atOnce };
}

// What is loaded at once belongs together: one chunk, however much of it the others use too.
const split = await chunksOf({});
const first = new Set([...split.atOnce].flatMap((name) => split.chunks.get(name)?.moduleIds ?? []));
const { chunks, atOnce } = await chunksOf({ codeSplitting: { groups: [{ name: 'entry', test: (id) => first.has(id) }] } });

let total = 0;
for (const name of atOnce) {
  const bytes = zipped(chunks.get(name)?.code ?? '');
  total += bytes;
  console.log(`${bytes} bytes  ${name}`);
}
const modules = ['plain', 'relaxed'].map((flavour) => ({ flavour, bytes: zipped(readFileSync(`${root}build/${flavour}.wasm`)) }));
for (const { flavour, bytes } of modules) console.log(`${bytes} bytes  ${flavour}.wasm`);
total += Math.max(...modules.map(({ bytes }) => bytes));
console.log(`${total} bytes  together, of one module; at most ${MOST}`);
for (const [name, { code, moduleIds }] of chunks) {
  if (atOnce.has(name)) continue;
  const packages = new Set(moduleIds.flatMap((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []));
  console.log(`${zipped(code)} bytes  when needed: ${[...packages].join(', ') || name}`);
}
if (total > MOST) {
  console.error(`edge: expected at most ${MOST} bytes, got ${total}.`);
  process.exit(1);
}
