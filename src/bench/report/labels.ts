/** Where labels go beside dots, so that none lies on another, on a dot, or outside: in pixels, y downwards. */

export interface Label {
  /** The dot. */
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A 12-pixel sans-serif letter is about this wide; what is reckoned too wide costs only room. */
const LETTER = 6.6;
const HEIGHT = 13;
const GAP = 6;

/**
 * The left end and the middle height of each label, or undefined where there is no room: earlier labels come first, each
 * tries right, left, above and below its dot, then the corners.
 */
export function placeLabels(
  labels: readonly Label[],
  dots: readonly { readonly x: number; readonly y: number }[],
  bounds: Box,
): ({ readonly x: number; readonly y: number } | undefined)[] {
  const taken: Box[] = dots.map(({ x, y }) => ({ left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 }));
  return labels.map(({ x, y, text }) => {
    const width = text.length * LETTER;
    const [up, down] = [y - HEIGHT / 2 - GAP, y + HEIGHT / 2 + GAP];
    const [right, left, middle] = [x + GAP, x - GAP - width, x - width / 2];
    const places = [
      [right, y],
      [left, y],
      [middle, up],
      [middle, down],
      [right, up],
      [left, up],
      [right, down],
      [left, down],
    ] as const;
    for (const [placeX, placeY] of places) {
      const box = { left: placeX, right: placeX + width, top: placeY - HEIGHT / 2, bottom: placeY + HEIGHT / 2 };
      if (!inside(box, bounds) || taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      return { x: placeX, y: placeY };
    }
    return undefined;
  });
}

function inside(box: Box, bounds: Box): boolean {
  return box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top && box.bottom <= bounds.bottom;
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
