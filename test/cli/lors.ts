/** The built command, as a process of its own: exit code, standard output and error. `npm test` builds it first. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
if (!existsSync(MAIN)) throw new Error(`${MAIN}: expected the built command, got nothing. Run npm test, or npm run build first.`);

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly finished: Promise<Finished>;
  readonly signal: (name: 'SIGINT' | 'SIGTERM') => boolean;
}

/** V8's flags of this process, which give Node 20 relaxed SIMD; people run the command without. */
const FLAGS = process.execArgv.filter((flag) => flag.startsWith('--experimental-wasm'));

/** Starts the command. `onStdout` is told of everything on standard output so far, whenever there is more. */
export function startLors(args: readonly string[], onStdout?: (soFar: string) => void, flags = FLAGS): Running {
  const child = spawn(process.execPath, [...flags, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onStdout?.(stdout);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { finished, signal: (name) => child.kill(name) };
}

/** Runs the command to its end. */
export function lors(args: readonly string[], flags = FLAGS): Promise<Finished> {
  return startLors(args, undefined, flags).finished;
}
