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

const input = { input: `${root}src/edge.ts`, platform: /** @type {const} */ ('browser'), cwd: root };

// What is imported at once, as one file: how a bundler would share it with the chunks that come later is its own affair.
const alone = await rolldown({
  ...input,
  plugins: [{ name: 'later', resolveDynamicImport: (/** @type {unknown} */ id) => ({ id: String(id), external: true }) }],
});
const [entry] = (await alone.generate({ minify: true })).output;
let total = zipped(entry.code);
console.log(`${total} bytes  ${entry.fileName}`);
const modules = ['plain', 'relaxed'].map((flavour) => ({ flavour, bytes: zipped(readFileSync(`${root}build/${flavour}.wasm`)) }));
for (const { flavour, bytes } of modules) console.log(`${bytes} bytes  ${flavour}.wasm`);
total += Math.max(...modules.map(({ bytes }) => bytes));
console.log(`${total} bytes  together, of one module; at most ${MOST}`);
const whole = await rolldown(input);
const { output } = await whole.generate({ minify: true });
const parts = output.flatMap((part) => (part.type === 'chunk' ? [part] : []));
const atOnce = new Set(parts.filter((part) => part.isEntry && !part.isDynamicEntry).map((part) => part.fileName));
for (const name of atOnce) for (const to of parts.find((part) => part.fileName === name)?.imports ?? []) atOnce.add(to);
const split = parts.filter((part) => atOnce.has(part.fileName)).reduce((n, part) => n + zipped(part.code), 0);
console.log(
  `${split} bytes  what is loaded at once where a bundler splits it, what it shares with later chunks included (${atOnce.size} files)`,
);
for (const part of parts) {
  if (!part.isDynamicEntry) continue;
  const packages = new Set(part.moduleIds.flatMap((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []));
  console.log(`${zipped(part.code)} bytes  when needed: ${[part.name, ...packages].join(', ')}`);
}
if (total > MOST) {
  console.error(`edge: expected at most ${MOST} bytes, got ${total}.`);
  process.exit(1);
}
