/** The text: rows to learn from, and rows that are held out to look at afterwards. */
import { parseJsonl, parseText } from 'lors-wasm/edge';
import type { Row } from 'lors-wasm/edge';

export interface Text {
  readonly train: readonly Row[];
  readonly valid: readonly Row[];
}

/** Share of a text of one's own that is held out: its end. */
const HELD_OUT = 0.1;

/** Reads text or JSONL and holds out its end: the last rows, or the end of a single one. Throws RangeError where there is too little. */
export function splitText(name: string, text: string): Text {
  const rows = name.endsWith('.jsonl') ? parseJsonl(text, name) : parseText(text, 'file');
  const [only] = rows;
  if (!only) throw new RangeError(`${name}: expected text, got none.`);
  if (rows.length > 1) {
    const held = Math.max(1, Math.round(rows.length * HELD_OUT));
    return { train: rows.slice(0, -held), valid: rows.slice(-held) };
  }
  if (only.kind !== 'text') throw new RangeError(`${name}: expected at least two rows, one of which is held out, got one.`);
  // Between words: a token that is cut in two is another token.
  const at = only.text.indexOf(' ', Math.floor(only.text.length * (1 - HELD_OUT)));
  if (at < 0) throw new RangeError(`${name}: expected enough text to hold out a tenth of it, got ${only.text.length} characters.`);
  return { train: [{ kind: 'text', text: only.text.slice(0, at) }], valid: [{ kind: 'text', text: only.text.slice(at + 1) }] };
}
