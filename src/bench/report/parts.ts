/** Pieces that reports are made of. */
import { bytes, counted } from './format.ts';
import type { Html } from './html.ts';
import { html } from './html.ts';
import type { BenchReport } from '../types.ts';

/** What was measured on, when and with what. */
export function machine({ host, made, version }: Pick<BenchReport, 'host' | 'made' | 'version'>): Html {
  return html`<p class="machine">
    ${host.cpu}, ${counted(host.cores, 'core')}, ${bytes(host.memoryBytes)} of memory, ${host.os} ${host.arch}, ${host.runtime}. Made
    ${made} by lors-wasm ${version}.
  </p>`;
}

/** A table in a box of its own that scrolls sideways; the first cell of each line is its head. */
export function table(caption: string, head: readonly string[], lines: readonly (readonly (string | Html)[])[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((name) => html`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${lines.map(
          ([first, ...rest]) =>
            html`<tr>
              <th scope="row">${first}</th>
              ${rest.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** A figure that the page draws into. Its words are under the plot, made again with it. */
export function figure(name: string, title: string, caption: Html): Html {
  return html`<section aria-labelledby="${name}">
    <h2 id="${name}">${title}</h2>
    <figure>
      <div class="panels" data-plot="${name}">
        <p class="noscript">The plots are drawn by a script; the tables hold the same figures.</p>
      </div>
      <figcaption>${caption}</figcaption>
    </figure>
  </section>`;
}

/** What the columns of a table mean, for who asks. */
export function meanings(columns: readonly { readonly name: string; readonly about: string }[]): Html {
  return html`<details>
    <summary>What the columns mean</summary>
    <dl>
      ${columns.map(
        ({ name, about }) =>
          html`<dt>${name}</dt>
            <dd>${about}</dd>`,
      )}
    </dl>
  </details>`;
}
