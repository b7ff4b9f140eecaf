import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { loadDataset } from '../../src/io/datasets.ts';
import { tokenizeRows } from '../../src/io/tokenizeRows.ts';
import type { Row } from '../../src/io/rows.ts';
import { loadTokenizer } from '../../src/io/tokenizer.ts';
import type { Tokenizer } from '../../src/io/tokenizerFormat.ts';
import { hasShared, sharedPath } from '../shared.ts';
import { temporaryDirectory } from './temporary.ts';

const root = temporaryDirectory();
const put = (name: string, text: string | Uint8Array): string => {
  const path = join(root, name);
  fs.mkdirSync(join(path, '..'), { recursive: true });
  fs.writeFileSync(path, text);
  return path;
};

describe('rows', () => {
  it('are told by the first, blank lines skipped, of any line ending', () => {
    const text = put('a.jsonl', '{"text":"one"}\r\n\n  \n{"text":"two"}');
    expect(loadDataset(text).train).toEqual([
      { kind: 'text', text: 'one' },
      { kind: 'text', text: 'two' },
    ]);
    const completion = put('b.jsonl', '{"prompt":"p","completion":"c"}\n');
    expect(loadDataset(completion).train).toEqual([{ kind: 'completion', prompt: 'p', completion: 'c' }]);
    const messages = [{ role: 'user', content: 'hi' }];
    const chat = put('c.jsonl', JSON.stringify({ messages, tools: [] }));
    expect(loadDataset(chat).train).toEqual([{ kind: 'messages', messages, tools: [] }]);
  });

  it("give Alpaca rows Stanford's prompt", () => {
    const path = put(
      'alpaca.jsonl',
      '{"instruction":"Add.","input":"1 2","output":"3","text":"all of it"}\n{"instruction":"Sing.","input":"","output":"La"}\n{"instruction":"Go.","output":"No"}',
    );
    const [add, sing, go] = loadDataset(path).train;
    expect(add).toEqual({
      kind: 'completion',
      prompt:
        'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:',
      completion: '3',
    });
    const without = (instruction: string): string =>
      `Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n${instruction}\n\n### Response:`;
    expect(sing).toEqual({ kind: 'completion', prompt: without('Sing.'), completion: 'La' });
    expect(go).toEqual({ kind: 'completion', prompt: without('Go.'), completion: 'No' });
  });

  it.each([
    ['not JSON', '{"text":"a"}\n\n{"text"', /bad\.jsonl line 3: not JSON: /],
    ['no kind', '{"txt":"a"}', /bad\.jsonl line 1: expected \{text\}, .*got txt/],
    ['no object', '7', /bad\.jsonl line 1: expected \{text\}/],
    ['two kinds', '{"text":"a"}\n{"prompt":"a","completion":"b"}', /bad\.jsonl line 2: expected rows of one kind, text like the first/],
    ['a text that is a number', '{"text":1}', /bad\.jsonl line 1: text: expected a string, got 1/],
    ['a null prompt', '{"prompt":null,"completion":""}', /line 1: prompt: expected a string, got null/],
    ['an input that is a list', '{"instruction":"a","input":[],"output":"b"}', /line 1: input: expected a string, got \[\]/],
    ['no messages', '{"messages":[]}', /line 1: messages: expected a list of \{role, content\}/],
    ['a message without a role', '{"messages":[{"content":"a"}]}', /line 1: messages: expected \{role, content\}/],
    ['nothing', '', /expected at least one document, got an empty file/],
    ['blank lines', '\n \n', /expected at least one document, got an empty file/],
  ])('%s is a FormatError with its line', (_, text, message) => {
    const path = put('bad.jsonl', text);
    expect(() => loadDataset(path)).toThrow(FormatError);
    expect(() => loadDataset(path)).toThrow(message);
  });
});

describe('files', () => {
  it('hold one document, or one between blank lines', () => {
    const path = put('d.txt', '\ufeffone\nstill one\n\n \ntwo\r\n\r\nthree\n');
    const texts = (separator?: 'file' | 'blank-lines'): unknown[] =>
      loadDataset(path, separator).train.map((row) => (row as { text: string }).text);
    expect(texts('blank-lines')).toEqual(['one\nstill one', 'two', 'three']);
    expect(texts()).toHaveLength(1);
    expect(texts()[0]).toMatch(/^one\nstill one\n\n/);
  });

  it('make a directory, by their names', () => {
    put('dir/train.jsonl', '{"text":"a"}');
    put('dir/validation.txt', 'b');
    put('dir/test.jsonl', '{"text":"c"}');
    expect(loadDataset(join(root, 'dir'))).toEqual({
      train: [{ kind: 'text', text: 'a' }],
      valid: [{ kind: 'text', text: 'b' }],
      test: [{ kind: 'text', text: 'c' }],
    });
    put('val/train.txt', 'a');
    put('val/val.txt', 'b');
    expect(loadDataset(join(root, 'val'))).toMatchObject({ valid: [{ text: 'b' }], test: undefined });
  });

  it('are refused where they are missing, empty, of another kind or not text', () => {
    expect(() => loadDataset(join(root, 'none.txt'))).toThrow(/none\.txt: expected a \.txt or \.jsonl file, .*got nothing there/);
    put('only/test.txt', 'a');
    expect(() => loadDataset(join(root, 'only'))).toThrow(/expected train\.jsonl or train\.txt in the directory/);
    const csv = put('e.csv', 'a');
    expect(() => loadDataset(csv)).toThrow(UnsupportedError);
    const empty = put('e.txt', ' \n');
    expect(() => loadDataset(empty)).toThrow(FormatError);
    const latin = put('latin.txt', Uint8Array.of(0xe9, 0x20));
    expect(() => loadDataset(latin)).toThrow(/latin\.txt: expected UTF-8 text/);
  });
});

/** One id a character; BOS 1, EOS 2; a template that writes BOS itself. */
const characters: Tokenizer = {
  name: 'characters',
  vocabSize: 256,
  bosId: 1,
  eosId: 2,
  hasChatTemplate: true,
  encode: (text) => Array.from(text, (c) => (c === '^' ? 1 : c === '$' ? 2 : c.charCodeAt(0))),
  decode: (ids) => String.fromCharCode(...ids),
  renderChat: (messages, { addGenerationPrompt }) =>
    `^${messages.map(({ role, content }) => `${role[0]}${content}$`).join('')}${addGenerationPrompt ? 'a' : ''}`,
};
const show = (row: Row, maskPrompt: boolean): [string, string] => {
  const { ids, targets } = tokenizeRows([row], characters, { maskPrompt }).documents[0]!;
  const text = Array.from(ids, (id) => (id === 1 ? '^' : id === 2 ? '$' : String.fromCharCode(id))).join('');
  return [text, targets ? targets.join('') : ''];
};

describe('tokenized rows', () => {
  it('have BOS and EOS once where the text has them', () => {
    expect(show({ kind: 'text', text: '^ab$' }, true)).toEqual(['^ab$', '']);
  });

  it.skipIf(!hasShared)('encode a prompt and its completion as one text, without a space of the tokenizer between them', () => {
    const tokenizer = loadTokenizer(sharedPath('models', 'stories260K'));
    const row: Row = { kind: 'completion', prompt: 'Once upon', completion: ' a time' };
    const { ids, targets } = tokenizeRows([row], tokenizer, { maskPrompt: true }).documents[0]!;
    expect([...ids]).toEqual([1, ...tokenizer.encode('Once upon a time'), 2]);
    expect([...targets!]).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it('begin with BOS and end with EOS', () => {
    expect(show({ kind: 'text', text: 'ab' }, true)).toEqual(['^ab$', '']);
    const bare = { ...characters, bosId: undefined, eosId: undefined };
    expect([...tokenizeRows([{ kind: 'text', text: 'ab' }], bare, { maskPrompt: true }).documents[0]!.ids]).toEqual([97, 98]);
  });

  it('mask a prompt where asked', () => {
    const row: Row = { kind: 'completion', prompt: 'pp', completion: 'c' };
    expect(show(row, true)).toEqual(['^ppc$', '00011']);
    expect(show(row, false)[1]).not.toContain('0');
  });

  it('mask a chat up to the last answer, with one BOS', () => {
    const messages = ['user', 'assistant', 'user', 'assistant'].map((role, i) => ({ role, content: String(i) }));
    expect(show({ kind: 'messages', messages }, true)).toEqual(['^u0$a1$u2$a3$', '00000000000' + '11']);
    expect(show({ kind: 'messages', messages }, false)[0]).toBe('^u0$a1$u2$a3$');
  });

  it('are left out, and counted, where nothing of them is a target', () => {
    const rows: Row[] = [
      { kind: 'messages', messages: [{ role: 'user', content: 'q' }] },
      { kind: 'text', text: 'a' },
    ];
    const { documents, dropped } = tokenizeRows(rows, characters, { maskPrompt: true });
    expect([documents.length, dropped]).toEqual([1, 1]);
    expect(() => tokenizeRows(rows.slice(0, 1), characters, { maskPrompt: true })).toThrow(FormatError);
  });
});
