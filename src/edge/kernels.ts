/** Kernel modules as a host without files has them, and what the host makes of their arithmetic. */
import { FormatError, explain } from '../core/errors.ts';
import type { Flavour } from '../core/flavour.ts';
import type { Arithmetic } from '../kernels/load.ts';
import { probeArithmetic, probeFlavour } from '../kernels/load.ts';
import { readBytes } from './bytes.ts';

/** A compiled module, or what can be compiled to one. Where compiling is not allowed (Workers), only the module will do. */
export type WasmSource = WebAssembly.Module | CompilableSource;
type CompilableSource = ArrayBuffer | ArrayBufferView<ArrayBuffer> | Response;

/** One source, or one for each flavour of SIMD, of which the host's faster is taken; the other is not even asked for. */
export type WasmInput = Lazy<WasmSource> | { readonly plain: Lazy<WasmSource>; readonly relaxed: Lazy<WasmSource> };

type Lazy<T> = T | Promise<T> | (() => T | Promise<T>);

export interface EdgeKernels {
  readonly module: WebAssembly.Module;
  /** Whether a product is rounded before it is added: what the last bits of a run depend on. */
  readonly arithmetic: Arithmetic;
  /** What packing goes by: the flavour that has this arithmetic, as a module does not say which it is. */
  readonly flavour: Flavour;
}

/**
 * Compiles kernels, if they are not.
 * @param memory the kind of memory that they were built for; shared is for the modules named so
 * @throws {FormatError} where they are not those of this package
 */
export async function compileKernels(wasm: WasmInput, memory: 'local' | 'shared' = 'local'): Promise<EdgeKernels> {
  const chosen = isPair(wasm) ? (probeFlavour() === 'relaxed' ? wasm.relaxed : wasm.plain) : wasm;
  const source: unknown = await (typeof chosen === 'function' ? chosen() : chosen);
  // To TypeScript a module is an empty object, which everything is: what is not one must be said.
  const module = source instanceof WebAssembly.Module ? source : await compile(source as CompilableSource);
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  if (!exported.has('project') || !exported.has('adamw')) {
    throw new FormatError(explain('wasm', 'the kernels of lors-wasm (plain.wasm or relaxed.wasm)', `a module of ${exported.size} exports`));
  }
  const arithmetic = probeArithmetic(module, memory === 'shared');
  return { module, arithmetic, flavour: arithmetic === 'fused' ? 'relaxed' : 'plain' };
}

function isPair(wasm: WasmInput): wasm is { readonly plain: Lazy<WasmSource>; readonly relaxed: Lazy<WasmSource> } {
  return typeof wasm === 'object' && 'plain' in wasm && 'relaxed' in wasm;
}

async function compile(source: CompilableSource): Promise<WebAssembly.Module> {
  if (source instanceof Response && source.ok && source.headers.get('content-type') === 'application/wasm') {
    return WebAssembly.compileStreaming(source);
  }
  return WebAssembly.compile((await readBytes(source, 'wasm')) as Uint8Array<ArrayBuffer>);
}
