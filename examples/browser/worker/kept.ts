/** What is kept of a run across reloads: the model that it trains, its text, and, in one file, where it stands. */
import type { Given, Sample, Saved, Settings } from '../protocol.ts';
import type { Store } from './store.ts';
import type { Text } from './text.ts';

/** What a run is from its first step on. */
export interface Inputs {
  /** For people. */
  readonly name: string;
  readonly settings: Settings;
  /** The kernels that it began with: it goes on with the same. */
  readonly flavour: 'plain' | 'relaxed';
  /** What the page shows of the time before the first step. */
  readonly before: Sample;
}

/** Where it stands. */
export interface Progress {
  readonly losses: readonly number[];
  readonly steps: number;
  /** The trainer's own. */
  readonly state: Blob;
}

const INPUTS = 'inputs.json';
const TEXT = 'text.json';
const PROGRESS = 'progress';
const MODEL = 'model-';

/** Keeps a new run, in place of an older one. It can be resumed once there is progress. */
export async function keepInputs(store: Store, inputs: Inputs, model: readonly Given[], text: Text): Promise<void> {
  await store.clear();
  for (const { name, blob } of model) await store.write(`${MODEL}${name}`, blob);
  await store.write(TEXT, new Blob([JSON.stringify(text)]));
  await store.write(INPUTS, new Blob([JSON.stringify(inputs)]));
}

/** The losses and the state in one file: they are of the same step, whenever the page goes away. */
export async function keepProgress(store: Store, { losses, steps, state }: Progress): Promise<void> {
  const header = new TextEncoder().encode(JSON.stringify({ losses, steps }));
  await store.write(PROGRESS, new Blob([Uint32Array.of(header.byteLength), header, state]));
}

export async function readInputs(store: Store): Promise<{ inputs: Inputs; model: Given[]; text: Text }> {
  const names = (await store.names()).filter((name) => name.startsWith(MODEL));
  const model = await Promise.all(names.map(async (name) => ({ name: name.slice(MODEL.length), blob: await need(store, name) })));
  return { inputs: await json<Inputs>(store, INPUTS), model, text: await json<Text>(store, TEXT) };
}

/** Undefined where no run is kept. */
export async function readProgress(store: Store): Promise<Progress | undefined> {
  const file = await store.read(PROGRESS);
  if (!file) return undefined;
  const length = new Uint32Array(await file.slice(0, 4).arrayBuffer())[0] ?? 0;
  const { losses, steps } = JSON.parse(await file.slice(4, 4 + length).text()) as Pick<Progress, 'losses' | 'steps'>;
  return { losses, steps, state: file.slice(4 + length) };
}

/** The run that is kept, for the page. */
export async function savedRun(store: Store): Promise<Saved | undefined> {
  const progress = await readProgress(store);
  // A page that went away while it deleted a run may have left one of them.
  if (!progress || !(await store.read(INPUTS))) return undefined;
  const { name } = await json<Inputs>(store, INPUTS);
  return { step: progress.losses.length, steps: progress.steps, model: name };
}

async function json<T>(store: Store, name: string): Promise<T> {
  return JSON.parse(await (await need(store, name)).text()) as T;
}

async function need(store: Store, name: string): Promise<Blob> {
  const found = await store.read(name);
  if (!found) throw new Error(`The kept run: expected ${name}, got nothing. Delete the run and begin anew.`);
  return found;
}
