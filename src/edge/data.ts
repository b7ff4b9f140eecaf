/** Text to train on or to evaluate on, from memory. */
import { FormatError, explain } from '../core/errors.ts';
import { decodeUtf8 } from '../io/jsonObject.ts';
import type { Row, Separator } from '../io/rows.ts';
import { parseJsonl, parseText } from '../io/rows.ts';
import type { Tokenized } from '../io/tokenizeRows.ts';
import type { Tokenizer } from '../io/tokenizerFormat.ts';
import type { BytesSource } from './bytes.ts';
import { readBytes } from './bytes.ts';

/** JSONL or plain text, as text or bytes; or rows that were read already. */
export type DataSource =
  { readonly jsonl: string | BytesSource } | { readonly text: string | BytesSource } | { readonly rows: readonly Row[] };

export interface DocumentOptions {
  readonly separator: Separator;
  readonly maskPrompt: boolean;
}

/** Documents of data. Throws FormatError with the line, or where there are none. */
export async function readDocuments(
  data: DataSource,
  where: string,
  tokenizer: Tokenizer,
  { separator, maskPrompt }: DocumentOptions,
): Promise<Tokenized> {
  const { tokenizeRows } = await import('../io/tokenizeRows.ts');
  return tokenizeRows(await readRows(data, separator, where), tokenizer, { maskPrompt });
}

/** Rows of data. Throws FormatError with the line, or where there are none. */
async function readRows(data: DataSource, separator: Separator, where: string): Promise<readonly Row[]> {
  const rows =
    'rows' in data
      ? data.rows
      : 'jsonl' in data
        ? parseJsonl(await textOf(data.jsonl, where), where)
        : parseText(await textOf(data.text, where), separator);
  if (rows.length === 0) throw new FormatError(explain(where, 'at least one document', 'none'));
  return rows;
}

async function textOf(source: string | BytesSource, where: string): Promise<string> {
  return typeof source === 'string' ? source : decodeUtf8(await readBytes(source, where), where);
}
