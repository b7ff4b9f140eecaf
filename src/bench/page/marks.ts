/** What the plots share: colours and shapes of curves, keys, labels that keep off each other, and tips. */
import { dot, initializer, plot, pointer, text, tip } from '@observablehq/plot';
import { placeLabels } from '../report/labels.ts';
import { PALETTE } from '../report/style.ts';
import type { Markish, TextOptions } from '@observablehq/plot';

/** No diamond: that is the break-even. */
const SHAPES = ['circle', 'square', 'triangle', 'star', 'cross', 'wye', 'hexagon', 'triangle2'] as const;

/** The colour and the shape of the i-th curve; a colour that comes again has another shape. */
export function look(i: number): { readonly colour: string; readonly symbol: (typeof SHAPES)[number] } {
  const series = PALETTE.light.series.length;
  return { colour: `var(--series-${i % series})`, symbol: SHAPES[(i + Math.floor(i / series)) % SHAPES.length]! };
}

/** The key of names to looks, as a list. */
export function key(names: readonly string[]): HTMLElement {
  const list = document.createElement('ul');
  list.className = 'keys';
  for (const [i, name] of names.entries()) {
    const { colour, symbol } = look(i);
    const sign = plot({
      width: 14,
      height: 14,
      margin: 0,
      axis: null,
      x: { domain: [0, 2] },
      y: { domain: [0, 2] },
      marks: [dot([[1, 1]], { symbol, fill: colour, r: 5 })],
    });
    sign.setAttribute('aria-hidden', 'true');
    const item = document.createElement('li');
    item.append(sign, name);
    list.append(item);
  }
  return list;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Words beside their dots, in the order of their weight: what has no room is left out, as its tip has it too. */
export function labels(words: readonly (Point & { readonly text: string })[], dots: readonly Point[]): Markish {
  const style: TextOptions = {
    x: 'x',
    y: 'y',
    text: 'text',
    textAnchor: 'start',
    fill: 'var(--ink)',
    stroke: 'var(--paper)',
    strokeWidth: 4,
  };
  const options = initializer(style, (_data, _facets, _channels, scales, dimensions) => {
    const x = scales.x as unknown as (value: number) => number;
    const y = scales.y as unknown as (value: number) => number;
    const { width, height, marginLeft, marginRight, marginTop, marginBottom } = dimensions;
    const bounds = { left: marginLeft, right: width - marginRight, top: marginTop, bottom: height - marginBottom };
    const at = <T extends Point>(point: T): T => ({ ...point, x: x(point.x), y: y(point.y) });
    const places = placeLabels(words.map(at), dots.map(at), bounds);
    return {
      data: [...words],
      facets: [Uint32Array.from(places.flatMap((place, i) => (place ? [i] : [])))] as unknown as number[][],
      channels: {
        x: { value: places.map((place) => place?.x ?? NaN) },
        y: { value: places.map((place) => place?.y ?? NaN) },
      },
    };
  });
  return text(words, options);
}

/** What the pointer is near, in words. */
export function tips(points: readonly (Point & { readonly title: string })[]): Markish {
  return tip(points, pointer({ x: 'x', y: 'y', title: 'title', fill: 'var(--paper)', stroke: 'var(--soft)', maxRadius: 20 }));
}

/** One plot with its title, told as one picture with a description. */
export function panel(title: string, description: string, picture: SVGSVGElement | HTMLElement): HTMLElement {
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', description);
  const head = document.createElement('h3');
  head.textContent = title;
  const box = document.createElement('div');
  box.append(head, picture);
  return box;
}

/** Sizes of a plot in a panel of some width, for all figures alike. */
export function size(width: number): { readonly width: number; readonly height: number } {
  return { width: Math.max(260, Math.floor(width)), height: Math.round(Math.min(440, Math.max(260, width * 0.72))) };
}

/** The ticks of a logarithmic axis: powers of the base, thinned to at most seven. */
export function powers([from, to]: readonly [number, number], base = 2): number[] {
  const first = Math.ceil(Math.log(from) / Math.log(base) - 1e-9);
  const last = Math.floor(Math.log(to) / Math.log(base) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / 7));
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    .filter((power) => power % every === 0)
    .map((power) => base ** power);
}
