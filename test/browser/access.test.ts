import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { buildPage, servePage } from '../../examples/browser/serve.mjs';
import { temporaryDirectory } from '../io/temporary.ts';
import { launch, withChromium } from './chromium.ts';
import { SMALL, TrainingPage } from './page.ts';

vi.setConfig({ testTimeout: 150_000, hookTimeout: 150_000 });

/** Rules of accessibility as a script: what it finds in a page is what the Web Content Accessibility Guidelines forbid. */
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Findings {
  readonly passes: readonly unknown[];
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

async function violations({ page }: TrainingPage): Promise<string[]> {
  await page.evaluate(AXE);
  const { passes, violations } = await page.evaluate<Findings>('axe.run()');
  expect(passes.length).toBeGreaterThan(20);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`));
}

withChromium('the page, for everybody', () => {
  const out = temporaryDirectory();
  let browser: Browser;
  let server: Awaited<ReturnType<typeof servePage>>;

  beforeAll(async () => {
    await buildPage(join(out, 'page'));
    [browser, server] = await Promise.all([launch(), servePage('isolated', join(out, 'page'))]);
  });
  afterAll(() => Promise.all([browser.close(), server.close()]));

  test('by keyboard alone, 360 px wide, with nothing to complain of in light and dark before, during and after a run', async () => {
    const context = await browser.newContext({ viewport: { width: 360, height: 740 }, reducedMotion: 'reduce' });
    const page = new TrainingPage(await context.newPage());
    const { keyboard } = page.page;
    await page.open(server.url);
    const check = async (when: string): Promise<void> => {
      expect(await page.overflow(), when).toBe(0);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        expect(await violations(page), `${when}, ${colorScheme}`).toEqual([]);
      }
    };
    /** Goes on by Tab until a control has the focus. */
    const tabTo = async (id: string): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        await keyboard.press('Tab');
        if ((await page.page.evaluate('document.activeElement.id || document.activeElement.name')) === id) return;
      }
      throw new Error(`#${id}: Tab does not lead to it.`);
    };
    await check('at first');

    await keyboard.press('Tab');
    expect(await page.page.evaluate('document.activeElement.textContent')).toBe('Skip to the form');
    await keyboard.press('Enter');
    await tabTo('model');
    await tabTo('steps');
    await keyboard.type('3');
    await tabTo('prompt');
    await keyboard.press('Tab');
    expect(await page.page.evaluate('document.activeElement.textContent')).toBe('More');
    await keyboard.press('Enter');
    await tabTo('batch');
    await keyboard.type(SMALL['Rows a step']);
    await tabTo('length');
    await keyboard.type(SMALL['Tokens a row']);
    await tabTo('train');
    await check('with all fields');
    await keyboard.press('Enter');

    // What happens is said where a screen reader hears it, and the focus goes to where it happens.
    await page.loss();
    expect(await page.page.evaluate('document.activeElement.id')).toBe('run-title');
    await check('while it trains');
    await page.finished();
    expect(await page.page.evaluate('document.activeElement.id')).toBe('download-adapter');
    expect(await page.page.getByRole('status').filter({ hasText: 'Done: 3 steps.' }).count()).toBe(1);
    expect(
      await page.page.getByRole('img', { name: /^Loss by step: \d+\.\d\d at step 1, running mean \d+\.\d\d at step 3$/ }).count(),
    ).toBe(1);
    await check('after a run');
    await keyboard.press('Shift+Tab');
    expect(await page.page.evaluate('document.activeElement.id')).toBe('layer');
    await keyboard.press('ArrowDown');
    await page.page.getByRole('img', { name: /^After: model\.layers\.0\.self_attn\.k_proj/ }).waitFor();
    expect(page.errors).toEqual([]);
    await context.close();
  });
});
