// The golden part of the tests, and the command with two threads, in every runtime that is here: this Node, those that are given as
// arguments, workerd (by miniflare), and Deno and Bun in the versions of .ci/runtimes, installed aside. Prints a table; fails where a
// result is not PyTorch's, or an adapter has other bits than in this Node.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const shared = join(root, '..', 'shared');
const work = mkdtempSync(join(tmpdir(), 'lors-runtimes-'));
const FLAVOURS = /** @type {const} */ (['plain', 'relaxed']);

/** @typedef {{ name: string, command: string, before: string[] }} Runtime */

/** @param {string} command @param {string[]} args @param {string} [cwd] */
function run(command, args, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1e8 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}.\n${error?.message ?? ''}${stdout}${stderr}`);
  return stdout;
}

/** Binaries as their npm packages have them for this platform: nothing is downloaded by scripts of theirs. @returns {Runtime[]} */
function installed() {
  const { platform, arch } = process;
  const cpu = arch === 'arm64' ? 'aarch64' : arch;
  const packages = {
    deno: { name: `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`, binary: 'deno', before: ['run', '--allow-all'] },
    bun: { name: `@oven/bun-${platform}-${cpu}`, binary: 'bin/bun', before: [] },
  };
  const lines = readFileSync(join(root, '.ci', 'runtimes'), 'utf8')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
  writeFileSync(join(work, 'package.json'), '{}');
  const wanted = lines.map((line) => {
    const [name, version] = /** @type {['deno' | 'bun', string]} */ (line.split(' '));
    return { runtime: name, version, ...packages[name] };
  });
  run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--silent', '--prefix', work, ...wanted.map(({ name, version }) => `${name}@${version}`)],
    work,
  );
  return wanted.map(({ runtime, version, name, binary, before }) => {
    const command = join(work, 'node_modules', name, binary);
    const found = run(command, ['--version']);
    if (!found.includes(version)) throw new Error(`${runtime}: expected version ${version}, got ${found}`);
    return { name: `${runtime === 'deno' ? 'Deno' : 'Bun'} ${version}`, command, before };
  });
}

/** @param {string} input @param {Record<string, string>} [external] */
async function bundled(input, external = {}) {
  const bundle = await rolldown({
    input: join(root, input),
    platform: input.endsWith('process.ts') ? 'node' : 'browser',
    plugins: [{ name: 'external', resolveId: (/** @type {string} */ id) => (external[id] ? { id: external[id], external: true } : null) }],
  });
  const { output } = await bundle.generate({ codeSplitting: false });
  return output[0].code;
}

/** @type {Record<string, string>[]} */
const table = [];

/** @param {string} runtime @param {string} flavour @param {import('../test/runtimes/golden.ts').GoldenReport} report @param {string} threads */
function tell(runtime, flavour, report, threads) {
  const { arithmetic, layers, runs, worstLoss, tokensPerSecond } = report;
  const row = {
    runtime,
    flavour: `${flavour} (${arithmetic})`,
    golden: `${layers} layers, ${runs} x 20 losses within ${worstLoss.toExponential(1)}`,
    threads,
    'tokens/s': tokensPerSecond.toFixed(0),
  };
  table.push(row);
  console.log(Object.values(row).join(' | '));
}

/** Fine-tunes by the command with two threads. Returns a name for the bits of the adapter. @param {Runtime} runtime @param {string} flavour */
function finetuned({ command, before }, flavour) {
  const out = join(work, 'out');
  const data = join(root, 'examples', 'quickstart', 'PROVENANCE.md');
  const text = join(work, 'text.txt');
  writeFileSync(text, readFileSync(data, 'utf8').repeat(4));
  const options = ['--prune', 'wanda', '--iters', '4', '--batch-size', '2', '--max-seq-length', '128', '--threads', '2', '--overwrite'];
  const model = join(root, 'examples', 'quickstart', 'model');
  run(command, [
    ...before,
    join(root, 'dist/cli/main.js'),
    'finetune',
    '--model',
    model,
    '--data',
    text,
    '--out',
    out,
    '--kernels',
    flavour,
    ...options,
  ]);
  const bits = createHash('sha256')
    .update(readFileSync(join(out, 'adapter_model.safetensors')))
    .digest('hex');
  rmSync(out, { recursive: true });
  return bits;
}

/** @param {Runtime[]} runtimes @param {string} file */
function inProcesses(runtimes, file) {
  /** @type {Map<string, string>} */
  const bits = new Map();
  for (const runtime of runtimes) {
    for (const flavour of FLAVOURS) {
      const args = [...runtime.before, file, join(root, 'build', `${flavour}.wasm`), shared];
      const report = JSON.parse(run(runtime.command, args));
      const adapter = finetuned(runtime, flavour);
      // Relaxed kernels that round are the plain ones: who does not fuse, or cannot, must come to the plain bits.
      const same = report.arithmetic === 'rounded' ? 'rounded' : 'fused';
      const wanted = bits.get(same) ?? adapter;
      if (adapter !== wanted) throw new Error(`${runtime.name} ${flavour}: expected the adapter's bits of the first runtime, got others.`);
      bits.set(same, wanted);
      tell(runtime.name, flavour, report, `finetune, 2: bits ${adapter.slice(0, 8)}`);
    }
  }
}

async function inWorkerd() {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/workerd/package.json'), 'utf8'));
  const { GOLDEN_FILES: files } = await import(`data:text/javascript,${encodeURIComponent(await bundled('test/runtimes/files.ts'))}`);
  const names = Object.keys(files);
  const external = Object.fromEntries([
    ...names.map((name) => [`golden:${name}`, `./${name}.bin`]),
    ...FLAVOURS.map((flavour) => [`wasm:${flavour}`, `./${flavour}.wasm`]),
  ]);
  const bytes = (/** @type {string} */ path) => new Uint8Array(readFileSync(path));
  const worker = new Miniflare({
    compatibilityDate: '2026-03-01',
    modules: [
      { type: 'ESModule', path: 'golden.js', contents: await bundled('test/runtimes/workerd.ts', external) },
      ...names.map((name) => ({ type: /** @type {const} */ ('Data'), path: `${name}.bin`, contents: bytes(join(shared, files[name])) })),
      ...FLAVOURS.map((flavour) => ({
        type: /** @type {const} */ ('CompiledWasm'),
        path: `${flavour}.wasm`,
        contents: bytes(join(root, 'build', `${flavour}.wasm`)),
      })),
    ],
  });
  try {
    for (const flavour of FLAVOURS) {
      const response = await worker.dispatchFetch(`http://golden/${flavour}`);
      if (!response.ok) throw new Error(`workerd ${flavour}: ${await response.text()}`);
      tell(`workerd ${version}`, flavour, /** @type {any} */ (await response.json()), 'none there');
    }
  } finally {
    await worker.dispose();
  }
}

try {
  const file = join(work, 'golden.mjs');
  writeFileSync(file, await bundled('test/runtimes/process.ts'));
  const relaxed = process.versions.node.startsWith('20.') ? ['--experimental-wasm-relaxed-simd'] : [];
  const others = process.argv
    .slice(2)
    .map((command) => ({ name: `Node ${run(command, ['--version']).trim().slice(1)}`, command, before: [] }));
  inProcesses([{ name: `Node ${process.versions.node}`, command: process.execPath, before: relaxed }, ...others, ...installed()], file);
  await inWorkerd();
  const columns = Object.keys(table[0] ?? {});
  console.log(`\n| ${columns.join(' | ')} |\n|${'---|'.repeat(columns.length)}`);
  for (const row of table) console.log(`| ${Object.values(row).join(' | ')} |`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
