/**
 * Tokenizers from JSON. The libraries are loaded when they are needed: the tokenizers' for who does not bring a Tokenizer of its own,
 * the templates' for a model that has a chat template. With both, this entry would be larger by half.
 */
import type { Tokenizer } from '../io/tokenizerFormat.ts';
import type { JsonSource } from './bytes.ts';
import { readJsonSource } from './bytes.ts';

/** The files of a Hugging Face tokenizer. */
export interface TokenizerFiles {
  /** For messages; `tokenizer` when absent. */
  readonly name?: string;
  /** tokenizer.json */
  readonly json: JsonSource;
  /** tokenizer_config.json */
  readonly config?: JsonSource | undefined;
  /** chat_template.jinja, where it is a file of its own. */
  readonly chatTemplate?: string | undefined;
}

/** Makes a tokenizer. Throws FormatError. */
export async function loadTokenizer(files: TokenizerFiles): Promise<Tokenizer> {
  const name = files.name ?? 'tokenizer';
  const json = await readJsonSource(files.json, `${name}: tokenizer.json`);
  const config = files.config === undefined ? {} : await readJsonSource(files.config, `${name}: tokenizer_config.json`);
  const { makeTokenizer, templateOf } = await import('../io/tokenizerJson.ts');
  const template = files.chatTemplate ?? templateOf(config);
  return makeTokenizer({ name, json, config, chat: template === undefined ? undefined : { template, render: await renderer() } });
}

async function renderer(): Promise<(template: string, variables: Record<string, unknown>) => string> {
  const { Template } = await import('@huggingface/jinja');
  return (template, variables) => new Template(template).render(variables);
}
