/** Rows of training data, and their kinds. */
import { FormatError, explain, shown } from '../core/errors.ts';
import type { Message } from './tokenizerFormat.ts';

export type Row =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string }
  | { readonly kind: 'messages'; readonly messages: readonly Message[]; readonly tools?: unknown };

const KINDS = '{text}, {prompt, completion}, {messages} or Alpaca {instruction, output}';

/** Whether a .txt is one document, or one for each run of lines between blank ones. */
export const SEPARATORS = ['file', 'blank-lines'] as const;
export type Separator = (typeof SEPARATORS)[number];

/** Rows of plain text: one, or one for each paragraph. */
export function parseText(text: string, separator: Separator): Row[] {
  const parts = separator === 'file' ? [text] : text.split(/\r?\n[ \t]*\r?\n\s*/);
  return parts.map((part) => part.trim()).flatMap((part) => (part === '' ? [] : { kind: 'text' as const, text: part }));
}

/** Reads JSONL. The first row tells the kind of all. Throws FormatError with the file and line. */
export function parseJsonl(text: string, where: string): Row[] {
  const rows: Row[] = [];
  let shape: string | undefined;
  text.split('\n').forEach((line, i) => {
    if (line.trim() === '') return;
    const at = `${where} line ${i + 1}`;
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch (error) {
      throw new FormatError(`${at}: not JSON: ${error instanceof Error ? error.message : String(error)}.`, { cause: error });
    }
    const found = shapeOf(json);
    if (!found) throw new FormatError(explain(at, KINDS, Object.keys(json ?? {}).join(', ') || JSON.stringify(json)));
    shape ??= found;
    if (found !== shape) throw new FormatError(explain(at, `rows of one kind, ${shape} like the first`, found));
    rows.push(rowOf(json as Record<string, unknown>, found, at));
  });
  return rows;
}

function shapeOf(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  if ('messages' in json) return 'messages';
  if ('prompt' in json && 'completion' in json) return 'prompt and completion';
  if ('instruction' in json && 'output' in json) return 'instruction and output';
  return 'text' in json ? 'text' : undefined;
}

function rowOf(json: Record<string, unknown>, shape: string, at: string): Row {
  const string = (name: string): string => {
    const value = json[name];
    if (typeof value === 'string') return value;
    throw new FormatError(explain(`${at}: ${name}`, 'a string', shown(value)));
  };
  if (shape === 'text') return { kind: 'text', text: string('text') };
  if (shape === 'prompt and completion') return { kind: 'completion', prompt: string('prompt'), completion: string('completion') };
  if (shape === 'instruction and output') {
    const input = json['input'] === undefined ? '' : string('input');
    return { kind: 'completion', prompt: alpacaPrompt(string('instruction'), input), completion: string('output') };
  }
  const messages = json['messages'];
  if (!Array.isArray(messages) || messages.length === 0)
    throw new FormatError(explain(`${at}: messages`, 'a list of {role, content}', JSON.stringify(messages)));
  for (const message of messages as unknown[]) {
    const { role, content } = (message ?? {}) as Record<string, unknown>;
    if (typeof role !== 'string' || typeof content !== 'string')
      throw new FormatError(explain(`${at}: messages`, '{role, content}, both strings', JSON.stringify(message)));
  }
  return { kind: 'messages', messages: messages as Message[], ...('tools' in json && { tools: json['tools'] }) };
}

/** The prompt of Stanford's Alpaca (github.com/tatsu-lab/stanford_alpaca, train.py). */
function alpacaPrompt(instruction: string, input: string): string {
  return input === ''
    ? `Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n${instruction}\n\n### Response:`
    : `Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:`;
}
