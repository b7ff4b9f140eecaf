/** report.html: one file that needs no network. */
import { pageScript } from './pageScript.ts';
import { reportBody } from './report/body.ts';
import { html, scriptJson } from './report/html.ts';
import { STYLE } from './report/style.ts';
import type { BenchReport } from './types.ts';

/**
 * A report as one HTML page: findings, plots, tables; about 0.3 MB and 1 kB a row. Its texts are escaped, and its policy
 * forbids it to load anything, so it may hold names from anywhere. Throws where the package was not built (pageScript).
 */
export function reportHtml(report: BenchReport): string {
  const script = pageScript().replaceAll('</script', String.raw`<\/script`);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
        />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>lors bench: ${report.host.cpu}</title>
        <style>
          html { background: Canvas; } body { margin: 0; }
          ${{ html: STYLE }}
        </style>
      </head>
      <body>
        <main class="lors-report" id="lors-report">${reportBody(report)}</main>
        <script type="application/json" id="lors-data">
          ${{ html: scriptJson(report) }}
        </script>
        <script>
          ${{ html: script }};
          lorsReport.enhance(document.getElementById('lors-report'), JSON.parse(document.getElementById('lors-data').textContent));
        </script>
      </body>
    </html> `.html;
}
