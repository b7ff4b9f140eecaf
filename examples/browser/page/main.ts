/** The page: it asks its worker for things, and shows what it is told. */
import type { Moment, Pattern, Request, Saved, Step, Told } from '../protocol.ts';
import { setUpBench } from './bench.ts';
import { LossCurve } from './curve.ts';
import { byId, say } from './dom.ts';
import { saveFile, size } from './files.ts';
import { FormError, jobOf, oneThreadOnly, setUpForm } from './form.ts';
import { describePattern, drawPattern } from './pattern.ts';

const worker = new Worker(new URL('../worker/main.ts', import.meta.url), { type: 'module', name: 'lors' });
const train = byId('train', HTMLButtonElement);
const stop = byId('stop', HTMLButtonElement);
const resume = byId('resume', HTMLButtonElement);
const forget = byId('forget', HTMLButtonElement);
const layer = byId('layer', HTMLSelectElement);
const downloads = (['adapter', 'fused'] as const).map((what) => ({ what, button: byId(`download-${what}`, HTMLButtonElement) }));
const curve = new LossCurve(byId('curve', HTMLElement));
const patterns = new Map<Moment, Pattern>();
let saved: Saved | undefined;
/** When a screen reader was last told how far the run is. */
let spoken = 0;

function ask(request: Request): void {
  worker.postMessage(request);
}

worker.addEventListener('message', ({ data }: MessageEvent<Told>) => hear(data));
worker.addEventListener('error', ({ message }) => fail('the worker', message || 'Its script could not be loaded.'));

function hear(told: Told): void {
  switch (told.tell) {
    case 'here':
      say(
        'machine',
        `${told.threads > 1 ? `${told.threads} threads` : 'One thread'}, ${told.kernels} SIMD kernels; runs are kept in this browser's ${told.store}.` +
          (told.shared
            ? ''
            : ' The page is not cross-origin isolated, so it has no shared memory and no threads: it trains in one worker.'),
      );
      if (!told.shared) oneThreadOnly();
      saved = told.saved;
      rest();
      return;
    case 'doing':
      say('status', told.what);
      return;
    case 'started':
      say(
        'about',
        `${told.model}: ${count(told.parameters)} parameters, ${count(told.trainable)} of them train. ${told.kernels} SIMD kernels, ` +
          `${told.threads === 1 ? 'one thread' : `${told.threads} threads`}; memory planned ${size(told.planned)}.`,
      );
      curve.begin(told.settings.steps, told.losses);
      showStep(told.losses.length, told.settings.steps);
      layer.replaceChildren(...told.layers.map((name) => new Option(name)));
      return;
    case 'sample':
      say(`${told.moment}-perplexity`, told.perplexity.toFixed(2));
      byId(`${told.moment}-perplexity`, HTMLElement).dataset['exact'] = String(told.perplexity);
      say(`${told.moment}-text`, told.text);
      say('knows-words', `Perplexity is of ${count(told.tokens)} tokens that are held out: lower is better.`);
      return;
    case 'step':
      step(told);
      return;
    case 'saved':
      byId('run', HTMLElement).dataset['saved'] = String(told.step);
      return;
    case 'pattern':
      if (told.moment === 'before') patterns.clear();
      patterns.set(told.moment, told);
      draw();
      return;
    case 'zeros':
      say(
        'zeros',
        told.filled === 0
          ? `Of ${count(told.pruned)} pruned weights (of ${count(told.weights)}) all are still exactly zero.`
          : `Of ${count(told.pruned)} pruned weights ${count(told.filled)} are not zero any more.`,
      );
      return;
    case 'ended':
      saved = told.finished ? undefined : told.saved;
      say(
        'status',
        told.finished ? `Done: ${told.saved.step} steps.` : `Stopped after step ${told.saved.step}; the run is kept in this browser.`,
      );
      rest();
      for (const { button } of downloads) button.disabled = false;
      byId(told.finished ? 'download-adapter' : 'resume', HTMLButtonElement).focus({ preventScroll: true });
      return;
    case 'file':
      saveFile(told.name, told.blob);
      say('status', `${told.name}, ${size(told.blob.size)}, is yours.`);
      for (const { button } of downloads) button.disabled = false;
      return;
    case 'forgotten':
      saved = undefined;
      rest();
      train.focus();
      return;
    case 'failed':
      fail(told.what, told.why);
  }
}

function step({ step, steps, loss, tokensPerSecond, secondsLeft }: Step): void {
  curve.add(loss);
  showStep(step, steps);
  say('loss', loss.toFixed(3));
  say('speed', count(Math.round(tokensPerSecond)));
  say('left', duration(secondsLeft));
  const now = performance.now();
  if (now - spoken < 10_000) return;
  // The figures change too fast to be read out; the status says the same now and then.
  spoken = now;
  say('status', `Training: step ${step} of ${steps}, loss ${loss.toFixed(2)}, ${duration(secondsLeft)} left.`);
}

function showStep(step: number, steps: number): void {
  say('step', `${step} / ${steps}`);
  const progress = byId('progress', HTMLProgressElement);
  progress.max = steps;
  progress.value = step;
}

/** What can be asked for while nothing runs. */
function rest(): void {
  train.disabled = false;
  stop.disabled = true;
  resume.disabled = forget.disabled = false;
  byId('kept', HTMLElement).hidden = saved === undefined;
  if (!saved) return;
  const { model, step, steps } = saved;
  const finished = step === steps;
  resume.textContent = finished ? 'Open it' : 'Resume';
  say(
    'kept-words',
    finished
      ? `${model}, finished after ${steps} steps. A new run replaces it.`
      : `${model}, stopped after step ${step} of ${steps}. It goes on exactly where it was. A new run replaces it.`,
  );
}

function begin(request: Request): void {
  byId('problem', HTMLElement).hidden = true;
  for (const described of document.querySelectorAll('[aria-describedby="problem"]')) described.removeAttribute('aria-describedby');
  byId('run', HTMLElement).hidden = false;
  for (const id of ['before-perplexity', 'after-perplexity', 'step', 'loss', 'speed', 'left']) say(id, '–');
  for (const id of ['before-text', 'after-text', 'zeros', 'about']) say(id, '');
  byId('progress', HTMLProgressElement).value = 0;
  delete byId('run', HTMLElement).dataset['saved'];
  patterns.clear();
  draw();
  curve.begin(1, []);
  train.disabled = resume.disabled = forget.disabled = true;
  for (const { button } of downloads) button.disabled = true;
  stop.disabled = false;
  spoken = performance.now();
  say('status', 'Starting …');
  byId('run-title', HTMLElement).focus();
  ask(request);
}

/** Says what went wrong; where it is a field of the form that is wrong, that is where the user goes on. */
function fail(what: string, why: string, about?: HTMLElement): void {
  const problem = byId('problem', HTMLElement);
  problem.textContent = about ? why : `${what}: ${why}`;
  problem.hidden = false;
  say('status', '');
  if (about) {
    about.setAttribute('aria-describedby', problem.id);
    about.focus();
    return;
  }
  rest();
  problem.scrollIntoView({ block: 'nearest' });
}

/** Draws what there is of the layer: before, after, and the difference. */
function draw(): void {
  const [before, after] = [patterns.get('before'), patterns.get('after')];
  const show = (id: string, pattern: Pattern | undefined, moment: string): void => {
    const canvas = byId(`${id}-pattern`, HTMLCanvasElement);
    canvas.closest('figure')?.toggleAttribute('hidden', pattern === undefined);
    if (!pattern) return;
    canvas.setAttribute('aria-label', describePattern(pattern, moment));
    drawPattern(canvas, pattern.values, pattern.size);
  };
  show('before', before, 'Before');
  show('after', after, 'After');
  const change = before && after && { ...after, values: after.values.map((value, i) => value - (before.values[i] ?? 0)) };
  show('change', change, 'What changed');
}

function count(n: number): string {
  return n.toLocaleString('en').replaceAll(',', ' ');
}

function duration(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

byId('work', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  try {
    begin({ ask: 'train', job: jobOf() });
  } catch (error) {
    if (!(error instanceof FormError)) throw error;
    fail('the form', error.message, error.about);
  }
});
resume.addEventListener('click', () => begin({ ask: 'resume' }));
forget.addEventListener('click', () => ask({ ask: 'forget' }));
stop.addEventListener('click', () => {
  stop.disabled = true;
  say('status', 'Stopping after this step …');
  ask({ ask: 'stop' });
});
layer.addEventListener('change', () => ask({ ask: 'layer', name: layer.value }));
for (const { what, button } of downloads) {
  button.addEventListener('click', () => {
    for (const other of downloads) other.button.disabled = true;
    ask({ ask: 'download', what });
  });
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
new ResizeObserver(draw).observe(byId('before-pattern', HTMLCanvasElement));

setUpForm(navigator.hardwareConcurrency);
setUpBench();
ask({ ask: 'hello', store: new URLSearchParams(location.search).get('store') === 'indexeddb' ? 'IndexedDB' : 'auto' });
