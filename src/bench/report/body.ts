/** The report as HTML without its plots: what a reader without scripts has, and where the page draws. */
import { isUnsure } from '../noise.ts';
import { families } from './curves.ts';
import { describeQuality } from './quality.ts';
import { breakEvens, describeBreakEven, findings, summary, task } from './findings.ts';
import { counted, duration, number, percent, times } from './format.ts';
import { html } from './html.ts';
import { figure, machine, meanings, table } from './parts.ts';
import { choices, columns } from './table.ts';
import type { Html } from './html.ts';
import type { BenchReport, BenchRow, QualityReport } from '../types.ts';

/** The body of a report, of one element's size: a page of its own, or a part of another. */
export function reportBody(report: BenchReport): Html {
  const { rows, quality } = report;
  return html`<header>
      <h1>Which sparsity pays on this machine?</h1>
      ${machine(report)}
    </header>
    <section aria-labelledby="findings">
      <h2 id="findings">Findings</h2>
      ${findings(report).map((text) => html`<p>${text}</p>`)} ${summaryTable(rows)} ${breakEvenTable(rows)}
    </section>
    ${rows.length > 0 ? [filters(rows), speedUpFigure(rows), rooflineFigure(report)] : undefined}
    ${quality ? qualitySection(quality) : undefined} ${rows.length > 0 ? rowTable(rows) : undefined}
    <section aria-labelledby="setup">
      <h2 id="setup">How it was measured</h2>
      ${limitsTable(report)}
      <p>
        Times are medians of interleaved rounds, low and high their spread. GFLOP/s count kept weights only. Speed-up is the time of our own
        dense kernel of the same shape over the time, both of one run.
      </p>
      <details>
        <summary>Options</summary>
        <pre>${JSON.stringify(report.options, null, 2)}</pre>
      </details>
    </section>`;
}

function summaryTable(rows: readonly BenchRow[]): Html | undefined {
  const { ops, patterns } = summary(rows);
  if (patterns.length === 0) return undefined;
  return table(
    'Speed-up over dense: the median of all settings (lowest to highest)',
    ['pattern', 'kept', ...ops],
    patterns.map(({ pattern, density, byOp }) => [
      pattern,
      percent(density),
      ...byOp.map((s) =>
        s
          ? html`<span class="${s.median >= 1 ? 'gain' : 'loss'}">${times(s.median)}</span
              >${s.low < s.high ? html` <small>${number(s.low)}–${number(s.high)}</small>` : undefined}`
          : '',
      ),
    ]),
  );
}

function breakEvenTable(rows: readonly BenchRow[]): Html | undefined {
  const { ops } = summary(rows);
  const lines = ops.flatMap((op) =>
    breakEvens(rows.filter((row) => row.op === op)).map((found) => [op, found.family, describeBreakEven(found)]),
  );
  if (lines.length === 0) return undefined;
  return html`<details>
    <summary>Break-even densities of every kernel</summary>
    ${table('Where each family of patterns is as fast as dense, each setting (shape, tokens, threads, flavour) by itself', ['op', 'patterns', 'against dense'], lines)}
  </details>`;
}

function limitsTable({ limits }: BenchReport): Html {
  if (limits.length === 0) return html`<p>The limits of the machine were not measured.</p>`;
  return table(
    'Limits of the machine, measured through WebAssembly',
    ['flavour', 'threads', 'multiply-adds, GFLOP/s', 'memory read, GB/s', 'copied, GB/s'],
    limits.map((l) => [l.flavour, String(l.threads), number(l.gflops), number(l.readGBs), number(l.copyGBs)]),
  );
}

function filters(rows: readonly BenchRow[]): Html {
  const option = (value: string): Html => html`<option>${value}</option>`;
  return html`<form class="filters" aria-label="Select rows for the plots of kernels and the table" data-filters hidden>
    ${choices(rows).map(
      ({ filter, values }) =>
        html`<label
          >${filter}
          <select name="${filter}">
            <option value="">all</option>
            ${values.map(option)}
          </select></label
        >`,
    )}
    <button type="reset">All rows</button>
    <output data-count>${counted(rows.length, 'row')}</output>
  </form>`;
}

function speedUpFigure(rows: readonly BenchRow[]): Html | undefined {
  if (families(rows).length === 0) return undefined;
  return figure(
    'speed-up',
    'Speed-up against density',
    html`Small dots are rows (hollow: the rounds disagree about the speed-up), large ones the median of the selected settings. Above the
    line at 1× sparse is faster than our dense kernel; a diamond on it marks the break-even density of the median, interpolated. The grey
    diagonal is time in proportion to the kept weights. Dashed lines are the dense kernels of peers.`,
  );
}

function rooflineFigure({ rows }: BenchReport): Html {
  return figure(
    'roofline',
    'Roofline',
    html`Each dot is one of the ${counted(rows.length, 'row')} (hollow: its times spread widely): operations on kept weights a byte moved,
    and how fast they ran. The lines are what this machine reached in the same run: memory read, to the left, and multiply-adds, above. A
    kernel near a line cannot become faster without moving fewer bytes or computing less.`,
  );
}

function qualitySection(quality: QualityReport): Html {
  return html`${figure(
      'quality',
      'Quality beside speed',
      html`${quality.model}, pruned and then recovered by ${counted(quality.iters, 'LoRS step')} on ${quality.data}. Hollow is pruned,
      filled is recovered; the line joins the Pareto front: nothing is both better and faster.`,
    )}
    <p>${describeQuality(quality)}</p>
    ${table(
      'Perplexity and speed',
      ['pattern', 'pruner', 'kept', 'pruned', 'recovered', 'step', 'tokens/s', 'Pareto front'],
      quality.rows.map((r) => [
        r.pattern,
        r.pruner,
        percent(r.density),
        number(r.before),
        number(r.after),
        duration(r.stepSeconds),
        number(r.tokensPerSecond),
        r.pareto ? 'yes' : '',
      ]),
    )}`;
}

function rowTable(rows: readonly BenchRow[]): Html {
  const all = columns(rows);
  return html`<section class="rows" aria-labelledby="rows">
    <h2 id="rows">All rows</h2>
    <p class="tools" data-tools hidden>
      <button type="button" data-copy>Copy as tab-separated values</button> <span role="status" data-status></span>
    </p>
    <div class="scroll tall" tabindex="0" role="region" aria-labelledby="rows">
      <table data-rows>
        <thead>
          <tr>
            ${all.map(({ name, about }) => html`<th scope="col" title="${about}">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => html`<tr${isUnsure(row) ? html` class="noisy"` : undefined}>${all.map((column) => html`<td>${column.text(row)}</td>`)}</tr>`)}
        </tbody>
      </table>
    </div>
    ${meanings([...all, { name: 'ops', about: [...new Set(rows.map(({ op }) => op))].map(task).join('; ') }])}
  </section>`;
}
