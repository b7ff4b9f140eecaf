/** The table of rows made usable: sorted by any column, filtered, copied. */
import { columns, sorted, tsv } from '../report/table.ts';
import type { Direction } from '../report/table.ts';
import type { BenchRow } from '../types.ts';

export interface RowTable {
  /** Shows these rows only. */
  readonly show: (keep: (row: BenchRow) => boolean) => void;
}

/** Wires the table that reportBody made for the rows. */
export function rowTable(root: HTMLElement, rows: readonly BenchRow[]): RowTable {
  const all = columns(rows);
  const body = root.querySelector('[data-rows] tbody')!;
  const lines = [...body.children] as HTMLElement[];
  const heads = [...root.querySelectorAll<HTMLElement>('[data-rows] thead th')];
  const status = root.querySelector<HTMLElement>('[data-status]')!;
  let order = rows.map((_, i) => i);

  const sortBy = (c: number): void => {
    const head = heads[c]!;
    const direction: Direction = head.getAttribute('aria-sort') === 'ascending' ? 'descending' : 'ascending';
    for (const other of heads) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', direction);
    order = sorted(rows, all[c]!, direction);
    body.append(...order.map((i) => lines[i]!));
    status.textContent = `Sorted by ${all[c]!.name}, ${direction}.`;
  };
  for (const [c, head] of heads.entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    button.addEventListener('click', () => sortBy(c));
    head.append(button);
  }

  const tools = root.querySelector<HTMLElement>('[data-tools]')!;
  tools.hidden = false;
  tools.querySelector('[data-copy]')!.addEventListener('click', () => {
    const shown = order.filter((i) => !lines[i]!.hidden).map((i) => rows[i]!);
    void copy(tsv(shown, all), tools).then(
      (how) =>
        (status.textContent =
          how === 'copied' ? `${shown.length} rows copied.` : 'Copying is not allowed here: the rows are selected below.'),
    );
  });

  return {
    show: (keep) => {
      for (const [i, row] of rows.entries()) lines[i]!.hidden = !keep(row);
    },
  };
}

/** Copies a text; where the clipboard is absent or refuses (a file, a frame), shows it selected after `place`. */
async function copy(text: string, place: HTMLElement): Promise<'copied' | 'shown'> {
  place.parentElement?.querySelector('textarea')?.remove();
  try {
    await navigator.clipboard.writeText(text);
    return 'copied';
  } catch {
    const area = document.createElement('textarea');
    area.readOnly = true;
    area.setAttribute('aria-label', 'The rows as tab-separated values');
    area.value = text;
    place.after(area);
    area.select();
    // The only way where there is no navigator.clipboard, as on pages from plain http; every browser still has it.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (!document.execCommand('copy')) return 'shown';
    area.remove();
    return 'copied';
  }
}
