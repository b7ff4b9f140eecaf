/** The bench panel: what `lors bench --quick` measures, in a worker of this page, as a report in the page. */
import { show } from '../../../src/bench/page/main.ts';
import type { BenchJob, BenchTold } from '../worker/bench.ts';
import { byId, control, say } from './dom.ts';

export function setUpBench(): void {
  const form = byId('bench', HTMLFormElement);
  const seconds = control(form, 'seconds', HTMLInputElement);
  const matrix = control(form, 'matrix', HTMLSelectElement);
  const button = byId('measure', HTMLButtonElement);
  let worker: Worker | undefined;
  const end = (words: string): void => {
    worker?.terminate();
    worker = undefined;
    button.textContent = 'Measure';
    say('bench-status', words);
  };
  const hear = (told: BenchTold): void => {
    switch (told.tell) {
      case 'progress':
        say('bench-status', told.what);
        return;
      case 'report': {
        const root = byId('report', HTMLElement);
        root.hidden = false;
        show(root, told.report);
        end(`Measured ${told.report.rows.length} kernels; every result was checked before it was timed.`);
        return;
      }
      case 'failed':
        end(told.why);
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (worker) {
      end('Stopped.');
      return;
    }
    if (!seconds.validity.valid) {
      say('bench-status', `Seconds: ${seconds.validationMessage}`);
      seconds.focus();
      return;
    }
    button.textContent = 'Stop';
    say('bench-status', 'Measuring what this machine can do at most …');
    worker = new Worker(new URL('../worker/bench.ts', import.meta.url), { type: 'module', name: 'lors bench' });
    worker.addEventListener('message', ({ data }: MessageEvent<BenchTold>) => hear(data));
    worker.addEventListener('error', ({ message }) => end(message || 'The script of the worker could not be loaded.'));
    worker.postMessage({ seconds: seconds.valueAsNumber, matrix: matrix.value } satisfies BenchJob);
  });
}
