/** The script of report.html, src/bench/page with its plotting library, as `npm run build:report` bundled it. */
import { readFileSync } from 'node:fs';

/** Throws the file system's error where the package was not built. */
export function pageScript(): string {
  return readFileSync(new URL('../../build/report.js', import.meta.url), 'utf8');
}
