// The machine's own limits, through WebAssembly: multiply-adds a second of each flavour, and memory bandwidth, of one thread.
//
//   npm run bench:roofline
//
// Other benches import measureLimits and put their figures beside it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { probeFlavour } from '../dist/kernels/load.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = fileURLToPath(new URL('assembly/peak.ts', import.meta.url));

/** The compiled module of bench/assembly/peak.ts. @param {'plain' | 'relaxed'} flavour */
function peakModule(flavour) {
  const out = `${root}build/bench/peak-${flavour}.wasm`;
  mkdirSync(`${root}build/bench`, { recursive: true });
  if (!existsSync(out) || statSync(out).mtimeMs < statSync(source).mtimeMs) {
    const args = [`${root}node_modules/assemblyscript/bin/asc.js`, source, '--outFile', out, '-O3', '--runtime', 'stub', '--noAssert'];
    args.push('--uncheckedBehavior', 'always', '--importMemory', '--maximumMemory', '65536', '--enable', 'simd');
    if (flavour === 'relaxed') args.push('--enable', 'relaxed-simd');
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`asc: ${stderr}`);
  }
  return new WebAssembly.Module(readFileSync(out));
}

/** Larger than any cache that one thread could hope to keep. */
const BUFFER = 256 << 20;

/**
 * A probe that measures once a call, so that others can take turns with it. `multiplyAdds` in GFLOP/s (two a lane), `read`
 * and `copy` in GB/s (a copy reads and writes: its bytes count twice).
 * @param {'plain' | 'relaxed'} flavour
 */
export function limitsProbe(flavour) {
  const memory = new WebAssembly.Memory({ initial: (2 * BUFFER) / 65536 + 1, maximum: 65536 });
  // Ordinary numbers: arithmetic on subnormal ones is slow.
  new Float32Array(memory.buffer).fill(0.5);
  const { multiplyAdds, read, copy } = /** @type {Record<string, (...args: number[]) => void>} */ (
    new WebAssembly.Instance(peakModule(flavour), { env: { memory } }).exports
  );
  const time = (/** @type {() => void} */ work) => {
    const start = performance.now();
    work();
    return (performance.now() - start) / 1000;
  };
  const TURNS = 4e6;
  return {
    multiplyAdds: () => (TURNS * 8 * 4 * 2) / time(() => multiplyAdds?.(64, TURNS)) / 1e9,
    read: () => BUFFER / time(() => read?.(0, 65536, BUFFER)) / 1e9,
    copy: () => (2 * BUFFER) / time(() => copy?.(65536 + BUFFER, 65536, BUFFER)) / 1e9,
  };
}

/** The best of so many rounds of each limit. @param {'plain' | 'relaxed'} flavour */
export function measureLimits(flavour, rounds = 12) {
  const probe = limitsProbe(flavour);
  const best = { multiplyAdds: 0, read: 0, copy: 0 };
  for (let i = 0; i < rounds; i++) {
    best.multiplyAdds = Math.max(best.multiplyAdds, probe.multiplyAdds());
    best.read = Math.max(best.read, probe.read());
    best.copy = Math.max(best.copy, probe.copy());
  }
  return best;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const flavour of /** @type {('plain' | 'relaxed')[]} */ (probeFlavour() === 'relaxed' ? ['plain', 'relaxed'] : ['plain'])) {
    const { multiplyAdds, read, copy } = measureLimits(flavour);
    console.log(
      `${flavour.padEnd(8)} Node ${process.versions.node}: ${multiplyAdds.toFixed(1)} GFLOP/s multiply-adds, ` +
        `${read.toFixed(1)} GB/s read, ${copy.toFixed(1)} GB/s copied`,
    );
  }
}
