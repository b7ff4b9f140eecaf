/** The compiled kernel modules that ship with the package, by flavour. */
import { readFileSync } from 'node:fs';
import { probeFlavour } from '../kernels/load.ts';
import type { Flavour } from '../kernels/table.ts';

const modules = new Map<string, WebAssembly.Module>();

/** The module of a flavour, compiled once a process. `auto` is the fastest that the host validates. */
export function kernelModule(flavour: Flavour | 'auto' = 'auto', shared = false): { module: WebAssembly.Module; flavour: Flavour } {
  const chosen = flavour === 'auto' ? probeFlavour() : flavour;
  const name = shared ? `${chosen}-shared` : chosen;
  let module = modules.get(name);
  if (!module) {
    module = new WebAssembly.Module(readFileSync(new URL(`../../build/${name}.wasm`, import.meta.url)));
    modules.set(name, module);
  }
  return { module, flavour: chosen };
}
