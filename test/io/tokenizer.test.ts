import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { StreamDecoder } from '../../src/io/streamDecoder.ts';
import { loadTokenizer } from '../../src/io/tokenizer.ts';
import type { Tokenizer } from '../../src/io/tokenizerFormat.ts';
import { hasShared, sharedPath } from '../shared.ts';
import { temporaryDirectory } from './temporary.ts';

const root = temporaryDirectory();

/** The text of ids that arrive one at a time, and the pieces that it came in. */
function stream(tokenizer: Tokenizer, ids: readonly number[], context: readonly number[] = []): string[] {
  const decoder = new StreamDecoder(tokenizer, context);
  return [...ids.map((id) => decoder.push(id)), decoder.end()];
}

describe.skipIf(!hasShared)('the tokenizer of stories260K', () => {
  const directory = sharedPath('models', 'stories260K');
  const tokenizer = hasShared ? loadTokenizer(directory) : (undefined as never);
  const golden = hasShared
    ? (JSON.parse(fs.readFileSync(sharedPath('golden', 'greedy.json'), 'utf8')) as { prompt: string; ids: number[]; text: string })
    : (undefined as never);

  it("gives sentencepiece's ids and text", () => {
    const prompt = tokenizer.encode(golden.prompt);
    expect([tokenizer.bosId, ...prompt]).toEqual(golden.ids.slice(0, prompt.length + 1));
    expect(tokenizer.decode(golden.ids)).toBe(golden.text);
    expect(tokenizer.decode(golden.ids.slice(1))).toBe(golden.text);
    expect([tokenizer.bosId, tokenizer.eosId, tokenizer.vocabSize]).toEqual([1, 2, 512]);
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.encode('')).toEqual([]);
  });

  it('streams the same text, after a prompt too', () => {
    expect(stream(tokenizer, golden.ids).join('')).toBe(golden.text);
    const [prompt, rest] = [golden.ids.slice(0, 5), golden.ids.slice(5)];
    expect(tokenizer.decode(prompt) + stream(tokenizer, rest, prompt).join('')).toBe(golden.text);
  });

  it.each(['héllo wörld', '日本語 😀 ok', '  two  spaces', 'a\n\n\nb\t', '😀😀'])(
    'gives back %j, streamed without half characters',
    (text) => {
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text);
      const pieces = stream(tokenizer, ids);
      expect(pieces.join('')).toBe(text);
      expect(pieces.filter((piece) => piece.includes('\ufffd'))).toEqual([]);
    },
  );

  it('gives up what it held back at the end', () => {
    const [half] = tokenizer.encode('😀').slice(-4);
    expect(stream(tokenizer, [half!])).toEqual(['', '\ufffd']);
  });

  const withTemplate = (name: string, config: object, jinja?: string): Tokenizer => {
    const path = join(root, name);
    fs.mkdirSync(path);
    fs.copyFileSync(join(directory, 'tokenizer.json'), join(path, 'tokenizer.json'));
    fs.writeFileSync(join(path, 'tokenizer_config.json'), JSON.stringify({ bos_token: { content: '<s>' }, eos_token: '</s>', ...config }));
    if (jinja !== undefined) fs.writeFileSync(join(path, 'chat_template.jinja'), jinja);
    return loadTokenizer(path);
  };
  const template =
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
  const messages = [{ role: 'user', content: 'hi' }];

  it('renders chats by the template, in each place it may be', () => {
    const all = [
      withTemplate('string', { chat_template: template }),
      withTemplate('list', {
        chat_template: [
          { name: 'tool_use', template: 'no' },
          { name: 'default', template },
        ],
      }),
      withTemplate('file', { chat_template: 'no' }, template),
    ];
    for (const { renderChat, bosId } of all) {
      expect(renderChat(messages, { addGenerationPrompt: true })).toBe('<s>user: hi</s>assistant: ');
      expect(renderChat(messages, { addGenerationPrompt: false })).toBe('<s>user: hi</s>');
      expect(bosId).toBe(1);
    }
  });

  it('refuses a chat where there is no template, or where the template does', () => {
    expect(tokenizer.hasChatTemplate).toBe(false);
    expect(() => tokenizer.renderChat(messages, { addGenerationPrompt: false })).toThrow(UnsupportedError);
    expect(() => tokenizer.renderChat(messages, { addGenerationPrompt: false })).toThrow(/chat template: .*Use rows of/);
    const strict = withTemplate('strict', { chat_template: "{{ raise_exception('roles must alternate') }}" });
    expect(() => strict.renderChat(messages, { addGenerationPrompt: false })).toThrow(FormatError);
    expect(() => strict.renderChat(messages, { addGenerationPrompt: false })).toThrow(/roles must alternate/);
  });
});

describe('a tokenizer that cannot be loaded', () => {
  it.each([
    ['none', undefined, /tokenizer\.json: missing/],
    ['text', 'x', /tokenizer\.json: not JSON/],
    ['empty', '{}', /tokenizer\.json: expected a tokenizer/],
  ])('%s', (name, text, message) => {
    const path = join(root, `bad-${name}`);
    fs.mkdirSync(path);
    if (text !== undefined) fs.writeFileSync(join(path, 'tokenizer.json'), text);
    expect(() => loadTokenizer(path)).toThrow(FormatError);
    expect(() => loadTokenizer(path)).toThrow(message);
  });
});
