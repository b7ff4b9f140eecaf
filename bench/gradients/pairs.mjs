// What gradients are compared on: a pruned model, text to train on and held-out text.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tokenizeRows } from '../../dist/io/datasets.js';
import { loadModel } from '../../dist/io/model.js';
import { loadTokenizer } from '../../dist/io/tokenizer.js';
import { windows } from '../../dist/models/batch.js';
import { pruneModel } from '../../dist/prune/prune.js';
import { parseSparsity } from '../../dist/prune/sparsity.js';
import { mobyDickChapters } from '../../examples/quickstart/text.mjs';

const shared = fileURLToPath(new URL('../../../shared', import.meta.url));
const quickstart = fileURLToPath(new URL('../../examples/quickstart/model', import.meta.url));

/** Paragraphs of a file of the shared folder, each twentieth held out. @param {string} file @param {number} bytes */
function paragraphs(file, bytes) {
  const all = readFileSync(`${shared}/data/${file}`, 'utf8')
    .slice(0, bytes)
    .split(/\n\s*\n/);
  // Joined by tens, so that most windows are full.
  const documents = Array.from({ length: Math.floor(all.length / 10) }, (_, i) => all.slice(i * 10, i * 10 + 10).join('\n\n'));
  return { train: documents.filter((_, i) => i % 12 !== 11), valid: documents.filter((_, i) => i % 12 === 11) };
}

/** Lines of a file of the shared folder, joined by fifties. @param {string} file @param {number} bytes */
function lines(file, bytes) {
  const all = readFileSync(`${shared}/data/${file}`, 'utf8').slice(0, bytes).split('\n');
  const documents = Array.from({ length: Math.floor(all.length / 50) }, (_, i) => all.slice(i * 50, i * 50 + 50).join('\n'));
  return { train: documents.filter((_, i) => i % 12 !== 11), valid: documents.filter((_, i) => i % 12 === 11) };
}

/**
 * @typedef {object} Pair
 * @property {string} name
 * @property {string} model  directory
 * @property {string} sparsity
 * @property {() => { train: string[], valid: string[] }} text
 * @property {number} length  tokens of a window
 * @property {number} windows  in a batch
 * @property {number} rank
 */

/** @type {Record<string, Pair>} */
export const PAIRS = {
  stories: {
    name: 'stories260K, Wanda 2:4, TinyStories',
    model: `${shared}/models/stories260K`,
    sparsity: '2:4',
    text: () => lines('tinystories_10k.txt', 700_000),
    length: 96,
    windows: 4,
    rank: 8,
  },
  whale: {
    name: 'quickstart 1.4M, Wanda 2:4, Moby Dick',
    model: quickstart,
    sparsity: '2:4',
    text: mobyDickChapters,
    length: 128,
    windows: 2,
    rank: 16,
  },
  grimm: {
    name: 'stories260K, Wanda 50 %, Grimm',
    model: `${shared}/models/stories260K`,
    sparsity: '50%',
    text: () => paragraphs('grimms_fairy_tales.txt', 527_000),
    length: 96,
    windows: 4,
    rank: 8,
  },
  whale70: {
    name: 'quickstart 1.4M, Wanda 70 %, Moby Dick',
    model: quickstart,
    sparsity: '70%',
    text: mobyDickChapters,
    length: 128,
    windows: 2,
    rank: 16,
  },
};

/** Whether what a pair needs is there. @param {Pair} pair */
export function available({ model }) {
  return existsSync(`${model}/config.json`);
}

/** @param {Pair} pair @param {import('../../dist/runtime/session.js').Sessions} sessions */
export async function prepare(pair, sessions) {
  const dense = loadModel(pair.model);
  const tokenizer = loadTokenizer(pair.model);
  const { train, valid } = pair.text();
  const cut = (/** @type {string[]} */ texts) =>
    windows(
      tokenizeRows(
        texts.map((text) => ({ kind: 'text', text })),
        tokenizer,
        { maskPrompt: false },
      ).documents,
      pair.length,
    ).filter(({ ids }) => ids.length === pair.length + 1);
  const [trained, held] = [cut(train), cut(valid).slice(0, 96)];
  const model = await pruneModel(dense, {
    method: 'wanda',
    sparsity: parseSparsity(pair.sparsity),
    calibration: trained.slice(0, 64),
    sessions,
  });
  return { model, train: trained, valid: held };
}
