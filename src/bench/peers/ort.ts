/** onnxruntime-web, its WebAssembly execution provider, on one thread: it takes a number of threads only once a process. */
import type { Op } from '../work.ts';
import { checkBackward, checkForward } from '../check.ts';
import { peerModule, transposed } from './module.ts';
import { matMulModel } from './onnxModel.ts';
import type { Peer, PeerCase } from './peer.ts';

export async function ortWeb(): Promise<Peer> {
  const ort = await peerModule('ort-web', ['onnxruntime-web'], () => import('onnxruntime-web'));
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return {
    name: 'ort-web',
    version: ort.env.versions.web ?? '',
    canUse: (threads) => threads === 1,
    open: async (problem, dense, ops) => {
      const { rows, cols, tokens, x, dy } = problem;
      const matMul = async (
        op: Op,
        [inner, outer]: readonly [number, number],
        input: Float32Array,
        w: Float32Array,
        check: (result: Float32Array) => void,
      ): Promise<PeerCase & { readonly close: () => Promise<void> }> => {
        const session = await ort.InferenceSession.create(matMulModel(tokens, inner, outer, w), { executionProviders: ['wasm'] });
        const feeds = { x: new ort.Tensor('float32', input, [tokens, inner]) };
        return {
          op,
          run: () => session.run(feeds),
          check: async () => check((await session.run(feeds))['y']!.data as Float32Array),
          close: () => session.release(),
        };
      };
      const cases = [
        ...(ops.includes('spmm')
          ? [await matMul('spmm', [cols, rows], x, transposed(dense, rows, cols), (y) => checkForward('ort-web', y, dense, problem))]
          : []),
        ...(ops.includes('spmmT')
          ? [await matMul('spmmT', [rows, cols], dy, dense, (dx) => checkBackward('ort-web', dx, dense, problem))]
          : []),
      ];
      return {
        cases,
        close: async () => {
          for (const { close } of cases) await close();
        },
      };
    },
    end: () => undefined,
  };
}
