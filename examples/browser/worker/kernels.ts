/** The kernels, fetched when they are wanted, and where they run: on Web Workers that share memory, or in this worker. */
import { canShareMemory, webSessions } from 'lors-wasm/browser';
import { probeFlavour } from 'lors-wasm/edge';
import type { HostOptions } from 'lors-wasm/edge';
import plainShared from 'lors-wasm/plain-shared.wasm?url';
import plain from 'lors-wasm/plain.wasm?url';
import relaxedShared from 'lors-wasm/relaxed-shared.wasm?url';
import relaxed from 'lors-wasm/relaxed.wasm?url';

const FILES = { plain, relaxed, 'plain-shared': plainShared, 'relaxed-shared': relaxedShared };

export interface Host {
  readonly flavour: 'plain' | 'relaxed';
  readonly threads: number;
  readonly module: WebAssembly.Module;
  /** What the functions of lors-wasm/edge take. */
  readonly edge: HostOptions;
}

/** The flavour that a choice means here. Throws RangeError where the browser does not have it. */
export function flavourOf(kernels: 'auto' | 'plain' | 'relaxed'): 'plain' | 'relaxed' {
  const best = probeFlavour() === 'relaxed' ? 'relaxed' : 'plain';
  if (kernels === 'relaxed' && best === 'plain') throw new RangeError('Kernels: expected a browser with relaxed SIMD, got one without.');
  return kernels === 'auto' ? best : kernels;
}

/** So many threads where memory can be shared, one otherwise. */
export async function openHost(kernels: 'auto' | 'plain' | 'relaxed', wanted: number): Promise<Host> {
  const flavour = flavourOf(kernels);
  const threads = canShareMemory() ? wanted : 1;
  const module = await WebAssembly.compileStreaming(fetch(FILES[threads > 1 ? (`${flavour}-shared` as const) : flavour]));
  const runner = {
    memory: 'shared',
    sessions: (options: Parameters<typeof webSessions>[0]) => webSessions({ ...options, threads }),
  } as const;
  return { flavour, threads, module, edge: { wasm: module, ...(threads > 1 && { runner }) } };
}
