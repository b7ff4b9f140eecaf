/** Shapes of weight matrices by name: those of a model, or one that is given. */
import { explain } from '../core/errors.ts';
import type { LlamaConfig } from '../models/config.ts';
import { PROJECTIONS, projectionShape } from '../models/names.ts';

/** A weight matrix [rows, cols] (outputs x inputs). */
export interface Shape {
  readonly rows: number;
  readonly cols: number;
}

export function nameOf({ rows, cols }: Shape): string {
  return `${rows}x${cols}`;
}

/** The matrix of `1536x576`; undefined where the text is not one. Throws RangeError for sizes that no matrix has. */
export function parseMatrix(text: string): Shape | undefined {
  const match = /^(\d+)x(\d+)$/.exec(text);
  if (!match) return undefined;
  const [rows, cols] = [Number(match[1]), Number(match[2])];
  if (rows > 0 && cols > 0 && rows * cols <= MOST_WEIGHTS) return { rows, cols };
  throw new RangeError(explain('--shapes', `a matrix of 1 to ${MOST_WEIGHTS} weights`, text));
}

/** So many that each pattern of a run has room in one arena. */
const MOST_WEIGHTS = 2 ** 27;

/** The projections of a model, each shape once. */
export function matricesOf(config: LlamaConfig): Shape[] {
  return uniqueShapes(
    PROJECTIONS.map((projection) => {
      const [rows, cols] = projectionShape(config, projection);
      return { rows, cols };
    }),
  );
}

export function uniqueShapes(shapes: readonly Shape[]): Shape[] {
  return shapes.filter((shape, i) => shapes.findIndex((other) => nameOf(other) === nameOf(shape)) === i);
}
