/** The worker of the bench panel: measures once, and tells how far it is. */
import type { BenchReport } from 'lors-wasm/browser';
import { quickPlan, runBench } from 'lors-wasm/browser';
import { VERSION, localSessions } from 'lors-wasm/edge';
import { openHost } from './kernels.ts';

export type BenchTold =
  | { readonly tell: 'progress'; readonly what: string }
  | { readonly tell: 'report'; readonly report: BenchReport }
  | { readonly tell: 'failed'; readonly why: string };

function tell(told: BenchTold): void {
  postMessage(told);
}

export interface BenchJob {
  /** Of each group. */
  readonly seconds: number;
  /** outputs x inputs */
  readonly matrix: string;
}

addEventListener('message', ({ data }: MessageEvent<BenchJob>) => {
  measure(data).then(
    (report) => tell({ tell: 'report', report }),
    (error: unknown) => tell({ tell: 'failed', why: error instanceof Error ? error.message : String(error) }),
  );
});

async function measure({ seconds, matrix }: BenchJob): Promise<BenchReport> {
  const { flavour, module } = await openHost('auto', 1);
  const made = new Date().toISOString();
  const results = await runBench(quickPlan(flavour, seconds, matrix), { sessions: () => localSessions({ module }), peers: [] }, (event) => {
    if (event.event === 'limits')
      tell({ tell: 'progress', what: `Multiply-adds: ${event.gflops.toFixed(0)} GFLOP/s. Measuring kernels …` });
    else tell({ tell: 'progress', what: `${event.done} of ${event.groups} groups measured …` });
  });
  return {
    schema: 'lors-bench/1',
    made,
    version: VERSION,
    host: hostHere(),
    options: { quick: true, seconds, shapes: [matrix] },
    ...results,
  };
}

/** As much as a browser says of its machine. */
function hostHere(): BenchReport['host'] {
  const { userAgent, hardwareConcurrency } = navigator;
  const runtime = /(?:Firefox|Chrome|Version)\/[\d.]+/.exec(userAgent)?.[0] ?? userAgent;
  // Rounded by the browser, to at most 8 GiB in some; not said by others.
  const gigabytes = 'deviceMemory' in navigator ? Number(navigator.deviceMemory) : 0;
  const system = /\(([^;)]*)[;)]/.exec(userAgent)?.[1] ?? 'unknown';
  return { cpu: 'A browser', cores: hardwareConcurrency, memoryBytes: gigabytes * 2 ** 30, os: system, arch: 'wasm32', runtime };
}
