/** Loads a model's weights to where they fit: the arena, memory beside it, or a file. */
import { totalmem } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { DTYPE_BYTES } from '../core/dtypes.ts';
import type { PackedFor } from '../core/flavour.ts';
import { openCheckpoint } from '../io/checkpoint.ts';
import { collectGarbage } from '../io/garbage.ts';
import { fileHome, homeOf, stagedHome } from '../io/homes.ts';
import { readJson } from '../io/json.ts';
import { loadModel } from '../io/model.ts';
import { Workspace } from '../io/workspace.ts';
import { parseConfig } from '../models/config.ts';
import type { LlamaModel, WeightHome } from '../models/model.ts';
import { readWeight } from '../models/model.ts';
import { PROJECTIONS, projectionName, projectionShape } from '../models/names.ts';
import type { Arena } from '../runtime/arena.ts';
import { pack } from '../sparse/pack.ts';
import { packedBytes } from '../sparse/weight.ts';
import type { WeightPlace } from './commonOptions.ts';

/** Bytes of the arena's 4 GiB that weights may take: the rest is for activations, adapters and the optimizer. */
const ARENA_SHARE = 2.75e9;
/** The part of memory that weights may take when they stay beside the arena. */
const MEMORY_SHARE = 0.75;

export interface WeightLimits {
  readonly place: WeightPlace;
  /** The kernels that the weights are for. */
  readonly packedFor: PackedFor;
  /** What the process may take, where there is a limit. */
  readonly memoryBytes?: number | undefined;
  /** Where a file of packed weights may be made. */
  readonly directory: string;
}

/** Loads a model directory, each weight to the place that `limits` say. Throws as loadModel does, and OutputError. */
export function loadModelInto(directory: string, arena: Arena, limits: WeightLimits): LlamaModel {
  const { place, packedFor } = choose(directory, limits);
  const model = loadModel(directory, home(place, arena, limits.directory), packedFor);
  // The room in which weights were packed.
  collectGarbage();
  return model;
}

function home(place: Exclude<WeightPlace, 'auto'>, arena: Arena, directory: string): WeightHome {
  if (place === 'arena') return homeOf(arena);
  return place === 'memory' ? stagedHome(arena) : fileHome(arena, directory);
}

/**
 * Weights that are staged are copied for every pass, so that their bytes are its time. In the arena few bytes are for where more of them
 * would not fit.
 */
function choose(
  directory: string,
  { place, packedFor, memoryBytes = totalmem() }: WeightLimits,
): { place: Exclude<WeightPlace, 'auto'>; packedFor: PackedFor } {
  const few = packedFor === 'one token' ? 'one token, few bytes' : packedFor;
  if (place === 'memory' || place === 'file') return { place, packedFor: few };
  const inMemory = Math.min(memoryBytes, totalmem()) * MEMORY_SHARE;
  if (few !== packedFor) {
    const { projections, tables } = estimate(directory, packedFor);
    if (projections + tables <= Math.min(ARENA_SHARE, inMemory)) return { place: 'arena', packedFor };
  }
  if (place === 'arena') return { place, packedFor: few };
  const { projections, tables } = estimate(directory, few);
  if (projections + tables <= ARENA_SHARE) return { place: 'arena', packedFor: few };
  return { place: projections <= inMemory ? 'memory' : 'file', packedFor: few };
}

/** Bytes of the packed model, from its first matrix: all are pruned alike, or near enough to choose a place. */
function estimate(directory: string, packedFor: PackedFor): { projections: number; tables: number } {
  const source = openCheckpoint(directory);
  const config = parseConfig(readJson(join(directory, 'config.json')), join(basename(resolve(directory)), 'config.json'));
  const [rows, cols] = projectionShape(config, 'q_proj');
  const { take: room } = new Workspace();
  const { dtype, elements } = readWeight(source, projectionName(0, 'q_proj'), [rows, cols], room);
  const packed = packedBytes(pack(dtype, elements, rows, cols, { packedFor, room })) / (rows * cols);
  // Another matrix may just keep enough for its zeros to be in place.
  const perElement = packedFor === 'one token' ? Math.max(packed, DTYPE_BYTES[dtype]) : packed;
  const elementsOfBlock = PROJECTIONS.reduce((n, projection) => {
    const [r, c] = projectionShape(config, projection);
    return n + r * c;
  }, 0);
  const table = config.vocabSize * config.hiddenSize * DTYPE_BYTES[dtype];
  return { projections: elementsOfBlock * config.layers * perElement, tables: table * (config.tied ? 1 : 2) };
}
