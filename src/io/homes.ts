/** Where the packed weights of a model live: in the arena, in memory beside it, or in a file. */
import fs from 'node:fs';
import { join } from 'node:path';
import type { RemoteBytes } from '../core/constant.ts';
import { bytesOf } from '../core/constant.ts';
import { FormatError, explain } from '../core/errors.ts';
import type { WeightHome } from '../models/model.ts';
import type { Arena } from '../runtime/arena.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { outputError } from './atomic.ts';
import { Workspace } from './workspace.ts';

/** Everything in the arena: used in place. */
export function homeOf(arena: Arena): WeightHome {
  return homeWith(arena, (weight) => inArena(arena, weight));
}

/** Projections in ordinary memory, fetched into the arena for each use: for models larger than the arena. */
export function stagedHome(arena: Arena): WeightHome {
  return homeWith(arena, (weight) => ({ ...withArrays(weight, (array) => array.slice()), staged: true }));
}

/**
 * Projections in a file of packed arrays in `directory`, fetched into the arena for each use: for models larger than
 * memory. The file has no name once it is open, so that it goes with the process. Throws OutputError.
 */
export function fileHome(arena: Arena, directory: string): WeightHome {
  const home = homeWith(arena, (weight) => remoteWeight(weight, append));
  const path = join(directory, `.packed-weights-${process.pid}.tmp`);
  const fd = opened(path);
  let end = 0;
  const append = (array: Elements): RemoteBytes => {
    const bytes = bytesOf(array);
    const position = end;
    try {
      for (let done = 0; done < bytes.length;) done += fs.writeSync(fd, bytes, done, Math.min(bytes.length - done, MOST), position + done);
    } catch (error) {
      throw outputError(path, error);
    }
    end += bytes.length;
    return rangeOf(fd, path, position, bytes.length);
  };
  return home;
}

/** Tables in the arena, projections where `move` moves them from the room in which they were packed. */
function homeWith(arena: Arena, move: (weight: PackedWeight) => PackedWeight): WeightHome {
  if (arena.memory.buffer instanceof ArrayBuffer) throw new TypeError('arena: expected shared memory, got a local one.');
  const workspace = new Workspace();
  const home = <W>(weight: W): W => {
    workspace.clear();
    return weight;
  };
  return { room: workspace.take, linear: (_name, weight) => home(move(weight)), table: (weight) => home(inArena(arena, weight)) };
}

/** The weight with its arrays copied into the arena, whose memory is shared: views of one that is not would end when it grows. */
function inArena<W extends PackedWeight>(arena: Arena, weight: W): W {
  return withArrays(weight, (array) => {
    const address = arena.take(array.byteLength);
    arena.write(address, array);
    const View = array.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => Elements;
    return new View(arena.memory.buffer, address, array.length);
  });
}

type Elements = Float32Array | Uint32Array | Uint16Array | Uint8Array;

/** The arrays of a weight, whatever its format has: values and structure. */
function arraysOf(weight: PackedWeight): [name: string, array: Elements][] {
  return Object.entries(weight).filter((field): field is [string, Elements] => ArrayBuffer.isView(field[1]));
}

function withArrays<W extends PackedWeight>(weight: W, each: (array: Elements) => Elements): W {
  return { ...weight, ...Object.fromEntries(arraysOf(weight).map(([name, array]) => [name, each(array)])) };
}

/** The weight without its arrays: each is a field that reads the file. */
function remoteWeight(weight: PackedWeight, append: (array: Elements) => RemoteBytes): PackedWeight {
  const remote: Record<string, RemoteBytes> = {};
  const moved = { ...weight, staged: true, remote };
  for (const [name, array] of arraysOf(weight)) {
    const View = array.constructor as new (buffer: ArrayBuffer) => Elements;
    const range = (remote[name] = append(array));
    const read = (): Elements => {
      const bytes = new Uint8Array(range.byteLength);
      range.readSync(bytes);
      return new View(bytes.buffer);
    };
    Object.defineProperty(moved, name, { get: read, enumerable: true });
  }
  return moved;
}

/** One call may not move more than 2 GiB. */
const MOST = 2 ** 30;

function opened(path: string): number {
  try {
    const fd = fs.openSync(path, 'wx+', 0o600);
    try {
      fs.unlinkSync(path);
    } catch {
      // Where an open file keeps its name, it goes when the process ends.
      process.once('exit', () => fs.rmSync(path, { force: true }));
    }
    return fd;
  } catch (error) {
    throw outputError(path, error);
  }
}

function rangeOf(fd: number, path: string, position: number, byteLength: number): RemoteBytes {
  const short = (): never => {
    throw new FormatError(explain(path, `${byteLength} bytes of packed weights`, 'fewer', 'Did something cut the file?'));
  };
  return {
    byteLength,
    readSync: (target) => {
      for (let done = 0; done < byteLength;) {
        const got = fs.readSync(fd, target, done, Math.min(byteLength - done, MOST), position + done);
        if (got === 0) short();
        done += got;
      }
    },
    read: async (target) => {
      for (let done = 0; done < byteLength;) {
        const got = await new Promise<number>((resolve, reject) =>
          fs.read(fd, target, done, Math.min(byteLength - done, MOST), position + done, (error, n) => (error ? reject(error) : resolve(n))),
        );
        if (got === 0) short();
        done += got;
      }
    },
  };
}
