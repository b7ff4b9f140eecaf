// Trains the quick start's tokenizer: byte-level BPE (Sennrich et al., arXiv 1508.07909; GPT-2's split and byte alphabet)
// on the training addresses. Deterministic: pairs of equal count merge in the order of their ids.
//
//   node examples/quickstart/make-tokenizer.mjs [OUT_DIR] [VOCABULARY]
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { stateOfTheUnion } from './text.mjs';

const out = process.argv[2] ?? fileURLToPath(new URL('model', import.meta.url));
const size = Number(process.argv[3] ?? 2048);
const SPECIAL = ['<|bos|>', '<|eos|>'];
const SPLIT = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** GPT-2's printable character for each byte. */
function byteAlphabet() {
  /** @type {number[]} */
  const printable = [];
  for (let b = 0; b < 256; b++) if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) printable.push(b);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable.includes(b) ? b : next++));
}

const alphabet = byteAlphabet();
const tokens = [...SPECIAL, ...alphabet];
const firstByte = SPECIAL.length;

/** @type {Map<string, number>} */
const counts = new Map();
for (const document of stateOfTheUnion().train)
  for (const word of document.match(SPLIT) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
const words = [...counts].map(([word, count]) => ({ ids: [...Buffer.from(word)].map((b) => b + firstByte), count }));

/** @type {Map<number, { left: number, right: number, count: number, words: Set<number> }>} */
const pairs = new Map();
/** @param {number} left @param {number} right @param {number} word @param {number} count */
function add(left, right, word, count) {
  const key = left * 65536 + right;
  let pair = pairs.get(key);
  if (!pair) pairs.set(key, (pair = { left, right, count: 0, words: new Set() }));
  pair.count += count;
  pair.words.add(word);
}
words.forEach(({ ids, count }, w) => {
  for (let i = 0; i + 1 < ids.length; i++) add(ids[i], ids[i + 1], w, count);
});

const merges = [];
while (tokens.length < size) {
  let best;
  for (const pair of pairs.values()) {
    const earlier = best && (pair.left < best.left || (pair.left === best.left && pair.right < best.right));
    if (!best || pair.count > best.count || (pair.count === best.count && earlier)) best = pair;
  }
  if (!best || best.count < 2) break;
  const merged = tokens.length;
  tokens.push(tokens[best.left] + tokens[best.right]);
  merges.push([tokens[best.left], tokens[best.right]]);
  for (const w of best.words) {
    const { ids, count } = words[w];
    for (let i = 0; i + 1 < ids.length; i++) add(ids[i], ids[i + 1], w, -count);
    const joined = [];
    for (let i = 0; i < ids.length; i++) {
      const here = ids[i] === best.left && ids[i + 1] === best.right;
      joined.push(here ? merged : ids[i]);
      if (here) i++;
    }
    words[w].ids = joined;
    for (let i = 0; i + 1 < joined.length; i++) add(joined[i], joined[i + 1], w, count);
  }
  pairs.delete(best.left * 65536 + best.right);
}

const special = SPECIAL.map((content, id) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
}));
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
mkdirSync(out, { recursive: true });
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: special,
  normalizer: null,
  pre_tokenizer: byteLevel,
  post_processor: null,
  decoder: byteLevel,
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges,
  },
};
writeFileSync(join(out, 'tokenizer.json'), `${JSON.stringify(tokenizer, null, 1)}\n`);
const config = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  bos_token: SPECIAL[0],
  eos_token: SPECIAL[1],
  model_max_length: 256,
  clean_up_tokenization_spaces: false,
};
writeFileSync(join(out, 'tokenizer_config.json'), `${JSON.stringify(config, null, 2)}\n`);
console.log(`${tokens.length} tokens from ${words.length} different words; ${merges.length} merges -> ${out}`);
