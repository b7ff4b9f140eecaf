/** TensorFlow.js, its WebAssembly backend (XNNPACK), on one thread: it takes a number of threads only once a process. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { checkBackward, checkForward } from '../check.ts';
import { peerModule } from './module.ts';
import type { Peer, PeerCase } from './peer.ts';

export async function tfjsWasm(): Promise<Peer> {
  const packages = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm'];
  const [tf, wasm] = await peerModule('tfjs-wasm', packages, () =>
    Promise.all([import('@tensorflow/tfjs-core'), import('@tensorflow/tfjs-backend-wasm')]),
  );
  wasm.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  wasm.setThreadsCount(1);
  await tf.setBackend('wasm');
  await tf.ready();
  return {
    name: 'tfjs-wasm',
    version: tf.version_core,
    canUse: (threads) => threads === 1,
    open: (problem, dense, ops) => {
      const { rows, cols, tokens } = problem;
      const tensors = {
        w: tf.tensor2d(dense, [rows, cols]),
        x: tf.tensor2d(problem.x, [tokens, cols]),
        dy: tf.tensor2d(problem.dy, [tokens, rows]),
      };
      // Transposed once, not in each product.
      const wt = tf.transpose(tensors.w);
      const products = {
        spmm: { times: () => tf.matMul(tensors.x, wt), check: (y: Float32Array) => checkForward('tfjs-wasm', y, dense, problem) },
        spmmT: {
          times: () => tf.matMul(tensors.dy, tensors.w),
          check: (dx: Float32Array) => checkBackward('tfjs-wasm', dx, dense, problem),
        },
      };
      const cases = (['spmm', 'spmmT'] as const)
        .filter((op) => ops.includes(op))
        .map((op): PeerCase => ({
          op,
          run: () => {
            products[op].times().dispose();
            return Promise.resolve();
          },
          check: async () => {
            const result = products[op].times();
            products[op].check((await result.data()) as Float32Array);
            result.dispose();
          },
        }));
      return Promise.resolve({
        cases,
        close: () => {
          tf.dispose([tensors, wt]);
          return Promise.resolve();
        },
      });
    },
    end: () => undefined,
  };
}
