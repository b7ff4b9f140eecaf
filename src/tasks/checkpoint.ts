/**
 * checkpoint-N/: all that a run needs to go on bit for bit: parameters, moments, step, the order of the data and where in
 * it the run stands. Written beside its place and renamed, so that what has the name is whole.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf } from '../core/constant.ts';
import { FormatError, explain } from '../core/errors.ts';
import type { RandomState } from '../core/random.ts';
import { VERSION } from '../core/version.ts';
import { stageDirectory, writeFileAtomic } from '../io/atomic.ts';
import { readJsonObject } from '../io/json.ts';
import { openSafetensors, writeSafetensors } from '../io/safetensors.ts';
import type { BatchCursor } from '../train/batches.ts';
import type { TrainerState } from '../train/trainer.ts';
import type { Identity } from './training.ts';
import { checkIdentity, checkVersion } from './training.ts';

const TENSORS = 'training_state.safetensors';
const STATE = 'trainer_state.json';

export interface RunState {
  readonly trainer: TrainerState;
  readonly cursor: BatchCursor;
  /** What the run must share with the one that goes on: options, data, the model. */
  readonly identity: Identity;
  /** Losses since the last report, so that the log of a resumed run is the uninterrupted one's. */
  readonly pendingLosses: readonly number[];
  /** Where the drawing of elastic ranks stands. */
  readonly ranks?: RandomState | undefined;
}

/** Writes OUT/checkpoint-N. `alsoWrite` adds files to it. Returns its path. Throws OutputError. */
export function saveRun(out: string, state: RunState, alsoWrite: (directory: string) => void): string {
  const path = join(out, `checkpoint-${state.trainer.step}`);
  const staging = stageDirectory(path);
  try {
    const { step, tensors } = state.trainer;
    writeSafetensors(
      join(staging.path, TENSORS),
      [...tensors].map(([name, data]) => ({
        name,
        dtype: 'F32',
        shape: [data.length],
        data: bytesOf(data),
      })),
    );
    const { cursor, identity, pendingLosses, ranks } = state;
    writeFileAtomic(join(staging.path, STATE), [
      `${JSON.stringify({ version: VERSION, global_step: step, epoch: cursor.epoch, cursor, pendingLosses, ranks, identity }, null, 2)}\n`,
    ]);
    alsoWrite(staging.path);
    staging.commit();
  } catch (error) {
    staging.abort();
    throw error;
  }
  return path;
}

/** The checkpoint that `path` is, or the last one in it. Throws FormatError where there is none, or it is another version's. */
export function findCheckpoint(path: string): string {
  const checkpoint = existsSync(join(path, STATE)) ? path : lastIn(path);
  checkVersion(`--resume ${checkpoint}`, readJsonObject(join(checkpoint, STATE))['version']);
  return checkpoint;
}

function lastIn(path: string): string {
  const steps = existsSync(path) ? readdirSync(path).flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []) : [];
  if (steps.length === 0) throw new FormatError(explain(`--resume ${path}`, 'a checkpoint-N directory, or one that holds some', 'neither'));
  return join(path, `checkpoint-${Math.max(...steps.map(Number))}`);
}

/** Reads a checkpoint of a run with this identity. Throws FormatError naming what differs. */
export function loadRun(path: string, identity: RunState['identity']): RunState {
  const json = readJsonObject(join(path, STATE));
  const was = (json['identity'] ?? {}) as Identity;
  checkIdentity(`--resume ${path}`, was, identity);
  const file = openSafetensors(join(path, TENSORS));
  const tensors = new Map([...file.tensors.keys()].map((name) => [name, new Float32Array(file.read(name).buffer)]));
  return {
    trainer: { step: json['global_step'] as number, tensors },
    cursor: json['cursor'] as BatchCursor,
    identity,
    pendingLosses: json['pendingLosses'] as number[],
    ranks: json['ranks'] as RandomState | undefined,
  };
}
