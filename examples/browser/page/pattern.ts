/** Draws a corner of a weight matrix: empty is zero, stronger is larger. */
import type { Pattern } from '../protocol.ts';

/** Share of the entries that are drawn in full: a few large ones would leave the others pale. */
const FULL = 0.02;

/** Draws entries [size, size] at the size and density of the screen; what is not zero can always be seen. */
export function drawPattern(canvas: HTMLCanvasElement, values: Float32Array, size: number): void {
  const cell = Math.max(2, Math.round((Math.min(canvas.clientWidth || 360, 420) * devicePixelRatio) / size));
  canvas.width = canvas.height = cell * size;
  const context = canvas.getContext('2d');
  if (!context) return;
  const style = getComputedStyle(canvas);
  context.fillStyle = style.getPropertyValue('--paper');
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.getPropertyValue('--ink');
  const magnitudes = values.map(Math.abs).sort();
  const most = magnitudes[Math.floor((1 - FULL) * (magnitudes.length - 1))] || magnitudes.at(-1) || 1;
  values.forEach((value, i) => {
    if (value === 0) return;
    context.globalAlpha = 0.15 + 0.85 * Math.min(1, Math.abs(value) / most);
    context.fillRect((i % size) * cell, Math.floor(i / size) * cell, cell, cell);
  });
  context.globalAlpha = 1;
}

/** What a drawing shows, in words. */
export function describePattern({ layer, rows, cols, size, values }: Pattern, moment: string): string {
  const zeros = values.reduce((n, value) => n + Number(value === 0), 0);
  return `${moment}: ${layer}, a matrix of ${rows} by ${cols}. In its top left ${size} by ${size} corner ${zeros} of ${values.length} weights are zero.`;
}
