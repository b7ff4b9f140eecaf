/**
 * The script of a report: `lorsReport` in the page. A saved report holds its body already and calls `enhance`; a page with
 * live results calls `show`, again whenever there are more.
 */
import { reportBody } from '../report/body.ts';
import { STYLE } from '../report/style.ts';
import { selected } from '../report/table.ts';
import { drawMethods } from './methodsPlot.ts';
import { drawQuality } from './qualityPlot.ts';
import { drawRooflines } from './rooflines.ts';
import { rowTable } from './rowTable.ts';
import { drawSpeedUp } from './speedUp.ts';
import type { CompareReport } from '../methods/types.ts';
import type { BenchReport, BenchRow } from '../types.ts';

/** Puts a report into an element, in place of what is there, and draws it. */
export function show(root: HTMLElement, report: BenchReport): void {
  if (!document.querySelector('style[data-lors-report]')) {
    const style = document.createElement('style');
    style.dataset['lorsReport'] = '';
    style.textContent = STYLE;
    document.head.append(style);
  }
  root.classList.add('lors-report');
  root.innerHTML = reportBody(report).html;
  enhance(root, report);
}

/** Draws the plots of a report whose body is in the element, and makes its table usable. Plots follow the width. */
export function enhance(root: HTMLElement, report: BenchReport): void {
  const { rows, limits, quality } = report;
  let chosen: readonly BenchRow[] = rows;
  const draw = (): void => {
    drawInto(root, 'speed-up', (width) => drawSpeedUp(chosen, rows, width));
    drawInto(root, 'roofline', (width) => drawRooflines(chosen, limits, rows, width));
    if (quality) drawInto(root, 'quality', (width) => drawQuality(quality, width));
  };
  draw();
  if (rows.length > 0) {
    const table = rowTable(root, rows);
    onFilter(root, (keep) => {
      chosen = rows.filter(keep);
      table.show(keep);
      draw();
      return chosen.length;
    });
  }
  followWidth(root, draw);
}

/** The same for a comparison of methods, whose tables need no script. */
export function enhanceMethods(root: HTMLElement, report: CompareReport): void {
  const draw = (): void => drawInto(root, 'methods', (width) => drawMethods(report, width));
  draw();
  followWidth(root, draw);
}

/** Draws into the grid of a figure, at the width of its columns. */
function drawInto(root: HTMLElement, name: string, draw: (width: number) => HTMLElement[]): void {
  const place = root.querySelector<HTMLElement>(`[data-plot='${name}']`);
  if (!place) return;
  const column = parseFloat(getComputedStyle(place).gridTemplateColumns);
  const panels = draw(Number.isFinite(column) ? column : place.clientWidth);
  const nothing = document.createElement('p');
  nothing.textContent = 'Nothing to draw for this selection.';
  place.replaceChildren(...(panels.length > 0 ? panels : [nothing]));
}

/** Tells of each change of the filters; `change` says how many rows are left. */
function onFilter(root: HTMLElement, change: (keep: (row: BenchRow) => boolean) => number): void {
  const form = root.querySelector<HTMLFormElement>('[data-filters]')!;
  const count = form.querySelector('[data-count]')!;
  const update = (): void => {
    const selection = Object.fromEntries([...form.querySelectorAll('select')].map(({ name, value }) => [name, value]));
    const left = change((row) => selected(row, selection));
    count.textContent = `${left} row${left === 1 ? '' : 's'}`;
  };
  form.hidden = form.querySelector('select') === null;
  form.addEventListener('change', update);
  // The form has its old values until the event is over.
  form.addEventListener('reset', () => setTimeout(update));
  form.addEventListener('submit', (event) => event.preventDefault());
}

/** Draws again when the width has changed, once a frame at most, and no more once the element is gone or filled anew. */
function followWidth(root: HTMLElement, draw: () => void): void {
  const marker = root.firstElementChild;
  let width = root.clientWidth;
  const observer = new ResizeObserver(() => {
    if (marker?.parentElement !== root) observer.disconnect();
    if (marker?.parentElement !== root || root.clientWidth === width) return;
    width = root.clientWidth;
    requestAnimationFrame(draw);
  });
  observer.observe(root);
}
