/** The golden part in a Worker: kernels are imported modules, and the golden files are data modules that miniflare hands in. */
import config from 'golden:config';
import kernels from 'golden:kernels';
import pruned from 'golden:pruned';
import report from 'golden:report';
import train from 'golden:train';
import weights from 'golden:weights';
import plain from 'wasm:plain';
import relaxed from 'wasm:relaxed';
import { runGolden } from './golden.ts';

const modules: Readonly<Record<string, WebAssembly.Module>> = { plain, relaxed };

export default {
  async fetch(request: Request): Promise<Response> {
    const bytes = (data: ArrayBuffer): Uint8Array => new Uint8Array(data);
    const files = {
      config: bytes(config),
      kernels: bytes(kernels),
      pruned: bytes(pruned),
      report: bytes(report),
      train: bytes(train),
      weights: bytes(weights),
    };
    try {
      return Response.json(await runGolden(modules[new URL(request.url).pathname.slice(1)]!, files));
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};
