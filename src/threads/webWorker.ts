/** The script of a Web Worker of web.ts: one task for its life. */
import type { WebWorkerMessage } from './web.ts';
import type { WorkerTask } from './worker.ts';
import work from './worker.ts';

function say(message: WebWorkerMessage): void {
  postMessage(message);
}

addEventListener('message', ({ data }: MessageEvent<WorkerTask>) => {
  try {
    work(data);
    say('ended');
  } catch (error) {
    say({ failed: error });
  }
});
