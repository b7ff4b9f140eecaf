// Makes a clone ready to run: dependencies as locked, kernels and dist as the sources are. Does nothing where nothing is
// missing. `npm start` and `npm test` call it, so that each works in a bare clone.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @param {string[]} args */
function npm(...args) {
  console.log(`> npm ${args.join(' ')}`);
  const { status } = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
}

/** The newest change in a file or folder, as a time; 0 where there is none. @param {string} path @returns {number} */
function newest(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** @param {...string} names */
const latest = (...names) => Math.max(...names.map((name) => newest(join(root, name))));

if (newest(join(root, 'node_modules/.package-lock.json')) < latest('package-lock.json')) npm('ci', '--no-audit', '--no-fund');
if (newest(join(root, 'build/wide-shared.wasm')) < latest('assembly', 'asconfig.json')) npm('run', '--silent', 'build:kernels');
if (newest(join(root, 'build/report.js')) < latest('src/bench', 'rolldown.config.js')) npm('run', '--silent', 'build:report');
if (newest(join(root, 'dist/index.js')) < latest('src', 'tsconfig.json', 'tsconfig.build.json')) npm('run', '--silent', 'build:ts');
