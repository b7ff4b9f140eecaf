/**
 * The state of a run as bytes: a safetensors blob of parameters, moments and, within an update, gradients. Its metadata say where the
 * run stands and what it belongs to, so that the state of another model, other options or another build is refused.
 */
import { bytesOf } from '../core/constant.ts';
import { FormatError, explain } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { isJsonObject, parseJson } from '../io/jsonObject.ts';
import type { Safetensors } from '../io/safetensorsFormat.ts';
import { encodeSafetensors, parseSafetensors } from '../io/safetensorsFormat.ts';
import type { Identity } from '../tasks/training.ts';
import { checkIdentity, checkVersion } from '../tasks/training.ts';
import type { BatchCursor } from '../train/batches.ts';
import type { TrainerState } from '../train/trainer.ts';

/** Where a run stands. */
export interface EdgeState {
  readonly trainer: TrainerState;
  /** The batches of the update under way, or of the next one, begin here. */
  readonly cursor: BatchCursor;
}

const FORMAT = 'lors-wasm training state';

/** The state of a run that `identity` tells from others. */
export function encodeState({ trainer, cursor }: EdgeState, identity: Identity): Uint8Array<ArrayBuffer> {
  const tensors = [...trainer.tensors].map(([name, data]) => ({
    name,
    dtype: 'F32',
    shape: [data.length],
    data: bytesOf(data),
  }));
  const run = { step: trainer.step, partial: trainer.partial, cursor };
  return encodeSafetensors(tensors, { format: FORMAT, version: VERSION, run: JSON.stringify(run), identity: JSON.stringify(identity) });
}

/** Throws FormatError where bytes are no state, or naming what differs where it is that of another run. */
export function checkState(bytes: Uint8Array, identity: Identity): void {
  openState(bytes, identity);
}

/** Reads a state. Throws as checkState. */
export function decodeState(bytes: Uint8Array, identity: Identity): EdgeState {
  const { file, run } = openState(bytes, identity);
  const { step, partial, cursor } = run as unknown as Pick<TrainerState, 'step' | 'partial'> & Pick<EdgeState, 'cursor'>;
  const tensors = new Map([...file.tensors.keys()].map((name) => [name, new Float32Array(file.read(name).buffer as ArrayBuffer)]));
  return { trainer: { step, tensors, partial }, cursor };
}

function openState(bytes: Uint8Array, identity: Identity): { file: Safetensors; run: Record<string, unknown> } {
  const file = parseSafetensors(bytes, 'state');
  const { format, version, run, identity: was } = file.metadata;
  if (format !== FORMAT) throw new FormatError(explain('state', FORMAT, format ?? 'another safetensors file'));
  checkVersion('state', version);
  checkIdentity('state', objectOf(was, 'identity'), identity);
  return { file, run: objectOf(run, 'run') };
}

function objectOf(text: string | undefined, what: string): Record<string, unknown> {
  const value = parseJson(text ?? 'null', `state: ${what}`);
  if (!isJsonObject(value)) throw new FormatError(explain(`state: ${what}`, 'an object', text ?? 'nothing'));
  return value;
}
