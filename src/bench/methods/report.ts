/** compare.json and compare.html. */
import { join } from 'node:path';
import { writeFileAtomic } from '../../io/atomic.ts';
import { pageHtml } from '../pageHtml.ts';
import { counted, number } from '../report/format.ts';
import type { Html } from '../report/html.ts';
import { html } from '../report/html.ts';
import { figure, machine, meanings, table } from '../report/parts.ts';
import { columnsOf, methodFindings } from './table.ts';
import type { CompareReport, MethodRun } from './types.ts';

/** Writes both; returns their paths. */
export function saveComparison(directory: string, report: CompareReport): string[] {
  const files = { 'compare.json': `${JSON.stringify(report, null, 2)}\n`, 'compare.html': comparisonHtml(report) };
  return Object.entries(files).map(([name, text]) => {
    const path = join(directory, name);
    writeFileAtomic(path, [text]);
    return path;
  });
}

/** A comparison as one HTML page. */
export function comparisonHtml(report: CompareReport): string {
  return pageHtml({
    title: `lors compare: ${report.rows.map(({ method }) => method).join(', ')}`,
    body: bodyOf(report),
    data: report,
    draw: 'enhanceMethods',
  });
}

function bodyOf(report: CompareReport): Html {
  const columns = columnsOf(report);
  const { options, rows, runs } = report;
  return html`<header>
      <h1>Which method for this model?</h1>
      <p>${options['model'] as string}, trained on ${options['data'] as string}: ${counted(report.iters, 'update')} each.</p>
      ${machine(report)}
    </header>
    <section aria-labelledby="findings">
      <h2 id="findings">Findings</h2>
      ${methodFindings(report).map((text) => html`<p>${text}</p>`)}
      ${table(
        'Each method at its best learning rate',
        columns.map(({ name }) => name),
        rows.map((row) => columns.map(({ text }) => text(row))),
      )}
      ${meanings(columns)}
    </section>
    ${figure(
      'methods',
      'Perplexity against time and memory',
      html`Held-out perplexity, lower is better: on the left along each run, over the seconds of training alone; on the right where it ends,
      over the highest resident set of the run's process. The dashed line is the perplexity that times are taken to. Hollow: zeros are lost.`,
    )}
    <section aria-labelledby="setup">
      <h2 id="setup">How it was measured</h2>
      <p>
        At each learning rate all methods run side by side, each in a process of its own, a few updates in turn, so that whatever else the
        machine does hits all alike. Seeds, data and their order are the same. Memory includes the runtime and the model.
      </p>
      ${ratesTable(runs)}
      <details>
        <summary>Options</summary>
        <pre>${JSON.stringify(options, null, 2)}</pre>
      </details>
    </section>`;
}

/** Perplexity by method and learning rate. */
function ratesTable(runs: readonly MethodRun[]): Html {
  const rates = [...new Set(runs.map(({ learningRate }) => learningRate))];
  const methods = [...new Set(runs.map(({ method }) => method))];
  const end = (method: string, rate: number): string => {
    const run = runs.find((r) => r.method === method && r.learningRate === rate);
    return run?.diverged === undefined ? number(run?.perplexity) : 'diverged';
  };
  return table(
    'Held-out perplexity at the end, by learning rate',
    ['method', ...rates.map(String)],
    methods.map((method) => [method, ...rates.map((rate) => end(method, rate))]),
  );
}
