/** The loss curve: every step, and the running mean over it. */
import { axisX, axisY, gridY, line, plot } from '@observablehq/plot';

/** Weight of the newest loss in the running mean. */
const NEWEST = 0.1;

export class LossCurve {
  readonly #place: HTMLElement;
  #losses: number[] = [];
  #steps = 0;
  #waiting = false;

  constructor(place: HTMLElement) {
    this.#place = place;
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (place.clientWidth === width) return;
      width = place.clientWidth;
      this.#soon();
    }).observe(place);
  }

  /** Begins a run of so many steps, with the losses that it has already. */
  begin(steps: number, losses: readonly number[]): void {
    this.#steps = steps;
    this.#losses = [...losses];
    this.#soon();
  }

  add(loss: number): void {
    this.#losses.push(loss);
    this.#soon();
  }

  /** Draws with the next frame: steps may come faster than those. */
  #soon(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#draw();
    });
  }

  #draw(): void {
    const losses = this.#losses;
    const points = losses.map((loss, i) => ({ step: i + 1, loss }));
    const means = runningMean(losses).map((loss, i) => ({ step: i + 1, loss }));
    const width = Math.max(240, this.#place.clientWidth);
    const svg = plot({
      width,
      height: Math.min(320, Math.max(220, width * 0.4)),
      marginLeft: 40,
      marginTop: 28,
      marginBottom: 36,
      x: { domain: [1, Math.max(this.#steps, 2)], label: 'step' },
      y: { label: 'loss', ...(losses.length > 0 ? { nice: true } : { domain: [0, 1], ticks: 0 }) },
      marks: [
        gridY({ stroke: 'currentColor', strokeOpacity: 0.12 }),
        axisX({ ticks: width < 480 ? 4 : 8, tickFormat: (step: number) => (Number.isInteger(step) ? String(step) : '') }),
        axisY({ ticks: 5 }),
        line(points, { x: 'step', y: 'loss', stroke: 'currentColor', strokeOpacity: 0.35, strokeWidth: 1 }),
        line(means, { x: 'step', y: 'loss', stroke: 'var(--accent)', strokeWidth: 2.5 }),
      ],
    });
    // The figure around it says what it shows.
    svg.setAttribute('aria-hidden', 'true');
    this.#place.replaceChildren(svg);
    // For scripts that look at the page.
    this.#place.dataset['losses'] = JSON.stringify(losses);
    this.#place.setAttribute('aria-label', described(means.map(({ loss }) => loss)));
  }
}

/** Exponential, without the weight that the first losses would have. */
export function runningMean(losses: readonly number[]): number[] {
  let sum = 0;
  let weight = 0;
  return losses.map((loss) => {
    sum = (1 - NEWEST) * sum + NEWEST * loss;
    weight = (1 - NEWEST) * weight + NEWEST;
    return sum / weight;
  });
}

function described(means: readonly number[]): string {
  const [first, last] = [means[0], means.at(-1)];
  if (first === undefined || last === undefined) return 'Loss by step: nothing yet';
  return `Loss by step: ${first.toFixed(2)} at step 1, running mean ${last.toFixed(2)} at step ${means.length}`;
}
