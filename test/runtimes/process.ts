/** The golden part where there are files: Node, Deno and Bun. Arguments: a kernel module and the folder of golden data. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GoldenFiles } from './files.ts';
import { GOLDEN_FILES } from './files.ts';
import { runGolden } from './golden.ts';

const [module, shared] = process.argv.slice(2) as [string, string];
const read = (path: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(path));
const files = Object.fromEntries(Object.entries(GOLDEN_FILES).map(([name, path]) => [name, read(join(shared, path))])) as GoldenFiles;
const report = await runGolden(await WebAssembly.compile(read(module)), files);
process.stdout.write(`${JSON.stringify(report)}\n`);
