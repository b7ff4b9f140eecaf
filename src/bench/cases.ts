/** The cases of one group: a program for each pattern and op in one session, so that all of them take turns on the same data. */
import type { Flavour } from '../core/flavour.ts';
import type { Factors } from '../adapters/factors.ts';
import { addFactors, unpadDown, unpadUp } from '../adapters/factors.ts';
import { LorsLinear } from '../adapters/lors.ts';
import { WeightOps } from '../adapters/weightOps.ts';
import { TILE } from '../kernels/table.ts';
import { ParameterStore } from '../program/parameters.ts';
import type { Counts, Program } from '../program/program.ts';
import { ProgramBuilder, lines } from '../program/program.ts';
import type { Value } from '../program/value.ts';
import type { Session, Sessions } from '../runtime/session.ts';
import { fromTiles, toTiles } from '../runtime/tiles.ts';
import { pack, unpack } from '../sparse/pack.ts';
import type { PackedWeight } from '../sparse/weight.ts';
import { checkBackward, checkForward, checkSame, checkSampled, factorGradientsOf, mergedOf } from './check.ts';
import type { Pattern } from './patterns.ts';
import type { Problem } from './problem.ts';
import { SCALING, makeMatrix } from './problem.ts';
import type { Op } from './work.ts';

/** One op on one pattern. */
export interface Case {
  readonly op: Op;
  readonly pattern: Pattern;
  readonly weight: PackedWeight;
  /** Computes once. */
  readonly run: () => void | Promise<void>;
  /** Throws WrongResult where what it computes is not right. */
  readonly check: () => Promise<void>;
}

export interface Group {
  readonly problem: Problem;
  readonly cases: readonly Case[];
  /** The dense matrix, [rows, cols], for those who compute the same elsewhere. */
  readonly dense: Float32Array;
  readonly close: () => void | Promise<void>;
}

interface Buffers {
  readonly x: Value;
  readonly y: Value;
  readonly dy: Value;
  readonly dx: Value;
  /** Of one token, features side by side. */
  readonly tokenX: Value;
  readonly tokenY: Value;
}

/** Where an op leaves its results. */
interface Built {
  readonly program: Program;
  readonly check: (session: Session) => void;
}

/** Opens the session of a group. Throws MemoryBudgetError where the patterns together do not fit. */
export async function openGroup(
  problem: Problem,
  patterns: readonly Pattern[],
  ops: readonly Op[],
  sessions: Sessions,
  flavour: Flavour,
): Promise<Group> {
  const { rows, cols, tokens } = problem;
  const tiles = Math.ceil(tokens / TILE);
  const tiled = (name: string, features: number, kind: 'input' | 'output'): Value => ({ name, bytes: tiles * features * 64, kind });
  const buffers: Buffers = {
    x: tiled('x', cols, 'input'),
    y: tiled('y', rows, 'output'),
    dy: tiled('dy', rows, 'input'),
    dx: tiled('dx', cols, 'output'),
    tokenX: { name: 'x of a token', bytes: lines(cols) * 64, kind: 'input' },
    tokenY: { name: 'y of a token', bytes: lines(rows) * 64, kind: 'output' },
  };
  const gradients = lazily(() => factorGradientsOf(problem));
  const dense = lazily(() => makeMatrix({ name: 'dense', kind: 'dense', zeros: 0 }, problem));
  // The other ops of one token need the mask.
  const packedFor = tokens > 1 ? flavour : ops.every((op) => op === 'spmm') ? 'one token' : 'one token, few bytes';
  const planned = patterns.flatMap((pattern) => {
    // Matrices are made again for each check: all of them together would take far more room than what is packed.
    const matrix = (): Float32Array => (pattern.kind === 'dense' ? dense() : makeMatrix(pattern, problem));
    const weight = pack('F32', matrix(), rows, cols, { packedFor });
    const ready = new WeightOps(pattern.name, weight);
    return ops.map((op) => ({ op, pattern, weight, built: build(op, pattern, ready, problem, buffers, matrix, gradients) }));
  });
  const session = sessions.open(planned.map(({ built }) => built.program));
  await session.ready();
  for (const [value, data] of [
    [buffers.x, toTiles(problem.x, tokens, cols)],
    [buffers.dy, toTiles(problem.dy, tokens, rows)],
    [buffers.tokenX, problem.x.subarray(0, cols)],
  ] as const) {
    if (session.has(value)) session.write(value, data);
  }
  const counts: Counts = { tokens, tiles, labelled: 0, labelTiles: 0 };
  const cases = planned.map(({ op, pattern, weight, built }): Case => {
    const run = (): void | Promise<void> => session.run(built.program.name, counts);
    return {
      op,
      pattern,
      weight,
      run,
      check: async () => {
        // What an earlier case left there must not be taken for this one's result.
        for (const value of [buffers.y, buffers.dx, buffers.tokenY]) if (session.has(value)) session.floats(value).fill(NaN);
        await run();
        built.check(session);
      },
    };
  });
  return { problem, cases, dense: dense(), close: () => session.close() };
}

function build(
  op: Op,
  pattern: Pattern,
  ops: WeightOps,
  problem: Problem,
  { x, y, dy, dx, tokenX, tokenY }: Buffers,
  matrix: () => Float32Array,
  gradients: () => ReturnType<typeof factorGradientsOf>,
): Built {
  const { rows, cols, tokens, rank } = problem;
  const name = `${pattern.name} ${op}`;
  const oneToken = op === 'spmm' && tokens === 1;
  const b = new ProgramBuilder(name, oneToken ? 'one token' : Math.ceil(tokens / TILE));
  const forward = (session: Session): Float32Array => fromTiles(session.floats(y), tokens, rows);
  const backward = (session: Session): Float32Array => fromTiles(session.floats(dx), tokens, cols);
  const weightLike = (session: Session, values: Value): Float32Array =>
    unpack(ops.weight, session.floats(values).slice(0, ops.weight.values.length));
  switch (op) {
    case 'spmm':
      if (oneToken) ops.multiplyToken(b, tokenY, 0, tokenX);
      else ops.multiply(b, y, 0, x, ops.plainValues(b));
      return {
        program: b.finish(),
        check: (session) => checkForward(name, oneToken ? session.floats(tokenY).slice(0, rows) : forward(session), matrix(), problem),
      };
    case 'spmmT':
      ops.multiplyT(b, dx, 0, dy, ops.plainValues(b));
      return { program: b.finish(), check: (session) => checkBackward(name, backward(session), matrix(), problem) };
    case 'merge': {
      const { up, downT, padded } = factorsOf(name, problem);
      const merged = ops.merged(b, up.value, downT.value, padded, SCALING);
      return {
        program: b.finish(),
        check: (session) => checkSame(name, weightLike(session, merged), mergedOf(matrix(), problem)),
      };
    }
    case 'sddmm': {
      const h = b.scratch('h', ops.length * 4);
      ops.sample(b, h, 0, dy, x);
      return { program: b.finish(), check: (session) => checkSampled(name, weightLike(session, h), matrix(), problem) };
    }
    case 'step': {
      const store = new ParameterStore();
      const factors = factorsOf(name, problem, store);
      const layer = new LorsLinear(name, ops, factors, 'lors');
      layer.forward(b, y, 0, x);
      for (const run of store.runs) b.emit('clear', run.chunks, { x: run.gradients });
      layer.backward(b, dx, 0, dy, x);
      const { up, downT, padded } = factors;
      return {
        program: b.finish(),
        check: (session) => {
          const merged = mergedOf(matrix(), problem);
          checkForward(`${name}: y`, forward(session), merged, problem);
          checkBackward(`${name}: dx`, backward(session), merged, problem);
          const { dUp, dDown } = gradients();
          checkSame(`${name}: dUp`, unpadUp(session.floats(up.gradient), rows, rank, padded), dUp);
          checkSame(`${name}: dDown`, unpadDown(session.floats(downT.gradient), cols, rank, padded), dDown);
        },
      };
    }
  }
}

function factorsOf(name: string, { rows, cols, factors }: Problem, store = new ParameterStore()): Factors {
  return addFactors(store, name, cols, rows, SCALING, factors);
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
