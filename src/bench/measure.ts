/** Times cases in turn: a round calls each once, so that whoever else is on the machine slows all of them alike. */
import { Bench } from 'tinybench';
import type { Spread } from './noise.ts';
import { isNoisy } from './noise.ts';
import type { BenchRow } from './types.ts';

export interface Timed {
  readonly name: string;
  /** Computes once, now or until a promise resolves. A number is its seconds by its own clock, where that is another process's. */
  readonly run: () => unknown;
}

export interface Effort {
  /** Seconds that all cases together may take, warm-up included; the least rounds are done whatever they take. */
  readonly seconds: number;
  readonly leastRounds: number;
  readonly mostRounds: number;
}

export interface Timing {
  readonly seconds: BenchRow['seconds'];
  /** The shortest sample. */
  readonly best: number;
  /** The spread stayed wide, with more rounds too. */
  readonly noisy: boolean;
  /** Seconds of a call in each round. */
  readonly samples: readonly number[];
}

/** A sample takes at least this long: short ones are several calls. */
const SAMPLE_MS = 1.5;
const WARM_UPS = 2;

/** Seconds of a call of each case. Where one is noisy, all go on for as many rounds again; where that does not help, it is marked. */
export async function measure(cases: readonly Timed[], effort: Effort): Promise<Map<string, Timing>> {
  const began = performance.now();
  const tasks: { readonly name: string; readonly calls: number; readonly samples: number[] }[] = [];
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, retainSamples: true, concurrency: null });
  let round = 0;
  for (const { name, run } of cases) {
    const ms = await callTime(run);
    const calls = Math.max(1, Math.ceil(SAMPLE_MS / ms));
    round += calls * ms;
    tasks.push({ name, calls, samples: [] });
    bench.add(name, async () => {
      let own = 0;
      for (let i = 0; i < calls; i++) {
        const running = run();
        // To wait for what is not a promise would only add to the time.
        const seconds = running instanceof Promise ? ((await running) as unknown) : running;
        if (typeof seconds === 'number') own += seconds;
      }
      return own > 0 ? { overriddenDuration: own * 1000 } : undefined;
    });
  }
  const rounds = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      // A bench that has run does not run again before that.
      bench.reset();
      await bench.run();
      for (const { name, samples, calls } of tasks) {
        const { result } = bench.getTask(name)!;
        if (result.state === 'errored') throw result.error;
        if ('latency' in result) samples.push(result.latency.samples![0] / 1000 / calls);
      }
    }
  };
  const affordable = Math.floor((effort.seconds * 1000 - (performance.now() - began)) / round);
  const first = Math.max(effort.leastRounds, Math.min(effort.mostRounds, affordable));
  await rounds(first);
  if (tasks.some(({ samples }) => isWide(summary(samples)))) {
    const left = Math.floor((effort.seconds * 1000 - (performance.now() - began)) / round);
    await rounds(Math.max(effort.leastRounds, Math.min(first, left)));
  }
  return new Map(
    tasks.map(({ name, samples }) => {
      const seconds = summary(samples);
      return [name, { seconds, best: Math.min(...samples), noisy: isWide(seconds), samples }];
    }),
  );
}

/** Milliseconds of a call, once it is warm. */
async function callTime(run: Timed['run']): Promise<number> {
  for (let i = 0; i < WARM_UPS; i++) await run();
  const start = performance.now();
  await run();
  return Math.max(performance.now() - start, 1e-3);
}

/** The median, and the quartiles around it. */
export function summary(samples: readonly number[]): BenchRow['seconds'] {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    return sorted[below]! + (place - below) * ((sorted[below + 1] ?? sorted[below]!) - sorted[below]!);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75), rounds: sorted.length };
}

/**
 * How many times as fast as `other` this is, round by round: what slows a whole round, another process or a lower clock, slows both,
 * so the ratios of a round agree where the times do not.
 */
export function speedUpOver(timing: Timing, other: Timing): { readonly speedUp: number; readonly spread: Spread } {
  const { median, low, high } = summary(timing.samples.map((seconds, round) => seconds / other.samples[round]!));
  return { speedUp: 1 / median, spread: { low: 1 / high, high: 1 / low } };
}

function isWide(seconds: BenchRow['seconds']): boolean {
  return isNoisy(seconds.median, seconds);
}
