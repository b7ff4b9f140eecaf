/** Tokenizers as Hugging Face directories have them: tokenizer.json, tokenizer_config.json, chat_template.jinja. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { readJsonObject, readText } from './json.ts';
import type { Tokenizer } from './tokenizerFormat.ts';
import { makeTokenizer, templateOf } from './tokenizerJson.ts';

/** Loads the tokenizer of a model directory. Throws FormatError. */
export function loadTokenizer(directory: string): Tokenizer {
  const json = readJsonObject(join(directory, 'tokenizer.json'));
  const configPath = join(directory, 'tokenizer_config.json');
  const config = existsSync(configPath) ? readJsonObject(configPath) : {};
  const file = join(directory, 'chat_template.jinja');
  const template = existsSync(file) ? readText(file) : templateOf(config);
  const chat = template === undefined ? undefined : { template, render };
  return makeTokenizer({ name: directory, json, config, chat });
}

function render(template: string, variables: Record<string, unknown>): string {
  return new Template(template).render(variables);
}
