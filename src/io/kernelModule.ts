/** The compiled kernel modules that ship with the package, by flavour. */
import { readFileSync } from 'node:fs';
import { compileWide } from './wideModule.ts';
import { probeFlavour } from '../kernels/load.ts';
import type { Flavour } from '../core/flavour.ts';

const modules = new Map<string, WebAssembly.Module>();

/** The module of a flavour, compiled once a process. `auto` is the fastest that needs no flag. Throws as compileWide does. */
export function kernelModule(flavour: Flavour | 'auto' = 'auto', shared = false): { module: WebAssembly.Module; flavour: Flavour } {
  const chosen = flavour === 'auto' ? probeFlavour() : flavour;
  const name = shared ? `${chosen}-shared` : chosen;
  let module = modules.get(name);
  if (!module) {
    const bytes = new Uint8Array(readFileSync(new URL(`../../build/${name}.wasm`, import.meta.url)));
    module = chosen === 'wide' ? compileWide(bytes, () => kernelModule('relaxed', shared).module, shared) : new WebAssembly.Module(bytes);
    modules.set(name, module);
  }
  return { module, flavour: chosen };
}
