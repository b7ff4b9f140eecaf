/** How a command tells what it does: JSON lines, a live line on a terminal, or plain lines. */
import { SingleBar } from 'cli-progress';
import type { TrainEvent } from '../tasks/events.ts';
import { describeEvent, eta } from './describe.ts';
import { megabytes } from '../runtime/session.ts';

export interface Reporter {
  /** An event of a run. */
  readonly event: (event: TrainEvent) => void;
  /** A result: the object as JSON, or its text. */
  readonly result: (json: object, text: string) => void;
  /** A piece of a result as it comes; not told in JSON. */
  readonly piece: (text: string) => void;
  /** Ends the live line. */
  readonly close: () => void;
}

/** JSON lines on standard output; otherwise text there, with a live line where it is a terminal. */
export function makeReporter(json: boolean): Reporter {
  if (json) return jsonReporter();
  return textReporter(process.stdout.isTTY ? new LiveLine() : undefined);
}

function jsonReporter(): Reporter {
  const line = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    event: (event) => {
      if (event.event !== 'progress') line(event);
    },
    result: line,
    piece: () => undefined,
    close: () => undefined,
  };
}

function textReporter(live: LiveLine | undefined): Reporter {
  const write = (text: string): void => {
    live?.clear();
    process.stdout.write(text);
  };
  return {
    event: (event) => {
      if (event.event === 'progress') live?.show(event);
      else write(`${describeEvent(event)}\n`);
    },
    result: (_json, text) => write(text),
    piece: write,
    close: () => live?.clear(),
  };
}

/** The last line of the terminal while training. */
class LiveLine {
  #bar: SingleBar | undefined;

  show({ step, steps, loss, tokensPerSecond, secondsLeft, peakBytes }: TrainEvent & { event: 'progress' }): void {
    const values = { loss: loss.toFixed(4), rate: tokensPerSecond.toFixed(0), left: eta(secondsLeft), peak: megabytes(peakBytes) };
    if (!this.#bar) {
      this.#bar = new SingleBar({
        format: '{bar} {value}/{total}  loss {loss}  {rate} tokens/s  {left} left  peak {peak}',
        barsize: 24,
        barCompleteChar: '=',
        barIncompleteChar: '-',
        clearOnComplete: true,
        hideCursor: true,
        stream: process.stdout,
        gracefulExit: false,
      });
      this.#bar.start(steps, step, values);
    } else {
      this.#bar.update(step, values);
    }
  }

  clear(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
