/** A report as one HTML file that needs no network. */
import { pageScript } from './pageScript.ts';
import type { Html } from './report/html.ts';
import { html, scriptJson } from './report/html.ts';
import { STYLE } from './report/style.ts';

export interface Page {
  readonly title: string;
  /** What stands in the page before, or without, its script. */
  readonly body: Html;
  readonly data: unknown;
  /** The function of src/bench/page/main.ts that draws: it is given the element of the body, and the data. */
  readonly draw: 'enhance' | 'enhanceMethods';
}

/**
 * About 0.3 MB and its data. Texts are escaped, and the policy forbids the page to load anything, so it may hold names from
 * anywhere. Throws where the package was not built (pageScript).
 */
export function pageHtml({ title, body, data, draw }: Page): string {
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
        <title>${title}</title>
        <style>
          html { background: Canvas; } body { margin: 0; }
          ${{ html: STYLE }}
        </style>
      </head>
      <body>
        <main class="lors-report" id="lors-report">${body}</main>
        <script type="application/json" id="lors-data">
          ${{ html: scriptJson(data) }}
        </script>
        <script>
          ${{ html: script }};
          lorsReport.${draw}(document.getElementById('lors-report'), JSON.parse(document.getElementById('lors-data').textContent));
        </script>
      </body>
    </html> `.html;
}
