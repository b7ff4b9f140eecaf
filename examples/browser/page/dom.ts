/** Elements of index.html, found or refused: a page that lost one should say so at once. */

/** The element of an id, of that kind. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new TypeError(`#${id}: expected ${kind.name}, got ${found?.constructor.name ?? 'nothing'}.`);
}

/** A named control of a form. */
export function control<T extends HTMLElement>(form: HTMLFormElement, name: string, kind: new () => T): T {
  const found = form.elements.namedItem(name);
  if (found instanceof kind) return found;
  throw new TypeError(`${name}: expected ${kind.name} in the form, got ${found?.constructor.name ?? 'nothing'}.`);
}

/** Sets an element's text. */
export function say(id: string, text: string): void {
  const element = byId(id, HTMLElement);
  // Setting the same text again would make screen readers say it again.
  if (element.textContent !== text) element.textContent = text;
}
