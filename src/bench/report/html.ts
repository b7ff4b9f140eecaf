/** HTML as text: what is put into a template is escaped, unless it is HTML itself. */

export interface Html {
  readonly html: string;
}

type Piece = string | number | Html | readonly Piece[] | undefined;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text that means itself in an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** A template whose values are escaped; Html stands as it is, lists are joined, undefined is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Piece[]): Html {
  return { html: strings.map((text, i) => (i < values.length ? text + render(values[i]) : text)).join('') };
}

function render(piece: Piece): string {
  if (piece === undefined) return '';
  if (typeof piece === 'string' || typeof piece === 'number') return escapeHtml(String(piece));
  if ('html' in piece) return piece.html;
  return piece.map(render).join('');
}

/**
 * A value as JSON for the inside of a script element: no `<` is left that could end it or open a comment, and none of the
 * line ends that JSON allows in strings.
 */
export function scriptJson(value: unknown): string {
  const codes: Readonly<Record<string, string>> = { '<': '\\u003c', '\u2028': '\\u2028', '\u2029': '\\u2029' };
  return JSON.stringify(value).replaceAll(/[<\u2028\u2029]/g, (character) => codes[character]!);
}
