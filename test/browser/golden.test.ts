/** PyTorch's numbers in Chromium, plain and relaxed. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { GOLDEN_FILES } from '../runtimes/files.ts';
import type { GoldenReport } from '../runtimes/golden.ts';
import { hasShared, sharedPath } from '../shared.ts';
import { launch, withChromium } from './chromium.ts';

vi.setConfig({ testTimeout: 150_000, hookTimeout: 150_000 });

/** What runs in the page. */
const RUN = `async (flavour) => {
  const bytes = async (file) => new Uint8Array(await (await fetch(file)).arrayBuffer());
  const names = ${JSON.stringify(Object.keys(GOLDEN_FILES))};
  const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await bytes(name)])));
  return golden.runGolden(await WebAssembly.compile(await bytes(flavour)), files);
}`;

withChromium('golden numbers in Chromium', () => {
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    const input = fileURLToPath(new URL('../runtimes/golden.ts', import.meta.url));
    // What a page never meets, a chat template, stays outside.
    const output = { format: 'iife', name: 'golden', codeSplitting: false } as const;
    const bundle = await build({ input, write: false, platform: 'browser', logLevel: 'warn', output });
    browser = await launch();
    page = await browser.newPage();
    // A page without a server: what it asks for is given to it.
    await page.route('https://golden.test/**', (route) => {
      const name = new URL(route.request().url()).pathname.slice(1);
      if (name === '') return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>golden</title>' });
      const golden = new Map(Object.entries(GOLDEN_FILES)).get(name);
      const path = golden === undefined ? fileURLToPath(new URL(`../../build/${name}.wasm`, import.meta.url)) : sharedPath(golden);
      return route.fulfill({ contentType: 'application/octet-stream', body: readFileSync(path) });
    });
    await page.goto('https://golden.test/');
    await page.evaluate(`${bundle.output[0].code}; globalThis.golden = golden;`);
  });
  afterAll(() => browser.close());

  test.skipIf(!hasShared).each(['plain', 'relaxed'])('%s: every layer, and twenty steps of three methods', async (flavour) => {
    const { layers, runs, worstLoss, tokensPerSecond } = await page.evaluate<GoldenReport>(`(${RUN})('${flavour}')`);
    expect([layers, runs]).toEqual([57, 3]);
    // For the table of the README.
    console.log(`Chromium ${browser.version()}, ${flavour}: worst loss ${worstLoss}, ${tokensPerSecond.toFixed(0)} tokens/s`);
  });
});
