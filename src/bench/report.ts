/** report.html of `lors bench`. */
import { pageHtml } from './pageHtml.ts';
import { reportBody } from './report/body.ts';
import type { BenchReport } from './types.ts';

/** A report as one HTML page: findings, plots, tables; about 1 kB a row. */
export function reportHtml(report: BenchReport): string {
  return pageHtml({ title: `lors bench: ${report.host.cpu}`, body: reportBody(report), data: report, draw: 'enhance' });
}
