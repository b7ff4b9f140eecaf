/** The form: what to train, on what, how. */
import type { Given, Job, Settings } from '../protocol.ts';
import { byId, control, say } from './dom.ts';
import { chosenFiles, onDrop, size } from './files.ts';

const form = byId('work', HTMLFormElement);
const pasted = byId('text-pasted', HTMLTextAreaElement);

let model: readonly Given[] = [];
let textFile: Given | undefined;

/** What a form refuses, with the control that it is about. */
export class FormError extends Error {
  override name = 'FormError';
  readonly about: HTMLElement;

  constructor(message: string, about: HTMLElement) {
    super(message);
    this.about = about;
  }
}

/** Makes the form usable. */
export function setUpForm(cores: number): void {
  for (const what of ['model', 'text'] as const) {
    for (const radio of radios(what)) radio.addEventListener('change', () => showOwn(what));
    showOwn(what);
  }
  byId('model-files', HTMLInputElement).addEventListener('change', ({ target }) =>
    takeModel(chosenFiles((target as HTMLInputElement).files)),
  );
  byId('text-file', HTMLInputElement).addEventListener('change', ({ target }) => takeText(chosenFiles((target as HTMLInputElement).files)));
  for (const place of form.querySelectorAll<HTMLElement>('[data-drop]')) {
    onDrop(place, place.dataset['drop'] === 'model' ? takeModel : takeText);
  }
  pasted.addEventListener('input', () => {
    if (pasted.value === '') return;
    textFile = undefined;
    byId('text-file', HTMLInputElement).value = '';
    say('text-given', '');
  });
  const threads = control(form, 'threads', HTMLInputElement);
  threads.max = String(Math.max(cores, Number(threads.max)));
  threads.value = String(cores);
}

/** Without shared memory there is one thread, and nothing to choose. */
export function oneThreadOnly(): void {
  const threads = control(form, 'threads', HTMLInputElement);
  threads.value = '1';
  threads.disabled = true;
}

/** What the form asks for. Throws FormError. */
export function jobOf(): Job {
  for (const field of form.querySelectorAll<HTMLInputElement>('input, select')) field.removeAttribute('aria-invalid');
  const settings = settingsOf();
  return {
    settings,
    ...(isOwn('model') && { model: ownModel() }),
    ...(isOwn('text') && { text: ownText() }),
  };
}

function settingsOf(): Settings {
  const number = (name: string): number => {
    const field = control(form, name, HTMLInputElement);
    // Its own words are those of the user's language.
    if (!field.validity.valid) refuse(field, `${labelOf(field)}: ${field.validationMessage}`);
    return field.valueAsNumber;
  };
  const kernels = control(form, 'kernels', HTMLSelectElement).value;
  const prompt = control(form, 'prompt', HTMLInputElement);
  if (prompt.value.trim() === '') refuse(prompt, `${labelOf(prompt)}: expected some words, got none.`);
  return {
    sparsity: control(form, 'sparsity', HTMLSelectElement).value,
    steps: number('steps'),
    prompt: prompt.value,
    rank: number('rank'),
    learningRate: number('learningRate'),
    batch: number('batch'),
    length: number('length'),
    threads: number('threads'),
    kernels: kernels === 'plain' || kernels === 'relaxed' ? kernels : 'auto',
  };
}

function ownModel(): readonly Given[] {
  const has = (name: string): boolean => model.some((file) => file.name === name);
  const missing = ['config.json', 'tokenizer.json'].filter((name) => !has(name));
  if (!model.some(({ name }) => name.endsWith('.safetensors'))) missing.push('model.safetensors');
  if (missing.length > 0) {
    const got = namesOf(model).join(', ') || 'nothing';
    refuse(byId('model-files', HTMLInputElement), `Model: expected a directory with ${missing.join(' and ')}, got ${got}.`);
  }
  return model;
}

function ownText(): Given {
  if (textFile) return textFile;
  if (pasted.value.trim() === '') refuse(pasted, 'Text: expected some to learn from, got none.');
  return { name: 'pasted.txt', blob: new Blob([pasted.value], { type: 'text/plain' }) };
}

function refuse(field: HTMLElement, message: string): never {
  field.setAttribute('aria-invalid', 'true');
  const hidden = field.closest('details');
  if (hidden) hidden.open = true;
  throw new FormError(message, field);
}

function labelOf(field: HTMLInputElement): string {
  return field.labels?.[0]?.firstChild?.textContent?.trim() ?? field.name;
}

function takeModel(files: Given[]): void {
  if (files.length === 0) return;
  model = files;
  choose('model');
  const bytes = files.reduce((n, { blob }) => n + blob.size, 0);
  say('model-given', `${files.length} files, ${size(bytes)}: ${namesOf(files).join(', ')}`);
}

function namesOf(files: readonly Given[]): string[] {
  return files.map(({ name }) => name).sort();
}

function takeText(files: Given[]): void {
  const [file] = files;
  if (!file) return;
  textFile = file;
  pasted.value = '';
  choose('text');
  say('text-given', `${file.name}, ${size(file.blob.size)}`);
}

function radios(what: 'model' | 'text'): NodeListOf<HTMLInputElement> {
  return form.querySelectorAll<HTMLInputElement>(`input[type='radio'][name='${what}']`);
}

function isOwn(what: 'model' | 'text'): boolean {
  return form.querySelector<HTMLInputElement>(`input[name='${what}'][value='own']`)?.checked === true;
}

function choose(what: 'model' | 'text'): void {
  for (const radio of radios(what)) radio.checked = radio.value === 'own';
  showOwn(what);
}

function showOwn(what: 'model' | 'text'): void {
  const own = form.querySelector<HTMLElement>(`[data-own='${what}']`);
  if (own) own.hidden = !isOwn(what);
}
