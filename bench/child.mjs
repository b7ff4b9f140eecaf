// A process of one's own that answers a line with a line: what benches take turns with.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env]
 * @returns the process: `line` waits for its next line, `ask` says one first.
 */
export function startChild(command, args, env = process.env) {
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done)
      throw new Error(
        `${command} ${args.join(' ')}: it ended before it answered (exit code ${child.exitCode ?? 'none'}). Is there memory for it?`,
      );
    return String(value);
  };
  return {
    line,
    ask: (/** @type {string} */ what) => {
      if (child.exitCode === null) child.stdin.write(`${what}\n`);
      return line();
    },
    end: () => child.stdin.end(),
  };
}

/** Answers every line on standard input until it ends. @param {(line: string) => Promise<unknown>} answer */
export async function answerLines(answer) {
  for await (const line of createInterface({ input: process.stdin })) console.log(await answer(line));
}
