/** The page of examples/browser as a test uses it: by its labels, as people do. */
import { readFileSync } from 'node:fs';
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

/** What a test asks for instead of the page's own settings: seconds, not half a minute. */
export const SMALL = { Steps: '12', Rank: '4', 'Rows a step': '2', 'Tokens a row': '64', Kernels: 'plain' } as const;

export type Fields = Partial<
  Record<'Steps' | 'Rank' | 'Rows a step' | 'Tokens a row' | 'Threads' | 'Kernels' | 'Weights that stay', string>
>;

export class TrainingPage {
  readonly page: Page;
  /** Errors of the page that nothing caught. */
  readonly errors: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && this.errors.push(message.text()));
    page.setDefaultTimeout(120_000);
  }

  async open(url: string, query = ''): Promise<void> {
    await this.page.goto(url + query);
    await this.ready();
  }

  /** Waits until the page's worker has looked at the browser. */
  async ready(): Promise<void> {
    await expect.poll(() => this.button('Train').isEnabled(), { timeout: 60_000 }).toBe(true);
  }

  async fill(fields: Fields): Promise<void> {
    const more = this.page.getByText('More', { exact: true });
    if (!(await this.page.getByRole('spinbutton', { name: 'Rank' }).isVisible())) await more.click();
    for (const [label, value] of Object.entries(fields)) {
      const named = { name: label, exact: true };
      const list = this.page.getByRole('combobox', named);
      if ((await list.count()) > 0) await list.selectOption(value);
      else await this.page.getByRole('spinbutton', named).fill(value);
    }
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  /** Pastes text of one's own. */
  async paste(text: string): Promise<void> {
    await this.page.getByRole('radio', { name: /^My own text/ }).check();
    await this.page.getByLabel(/^Paste it here/).fill(text);
  }

  /** Waits for the end of a run. */
  async finished(): Promise<void> {
    await this.page.getByText(/^Done: \d+ steps/).waitFor();
  }

  /** Waits for the first loss. */
  async loss(): Promise<void> {
    await expect.poll(() => this.losses().then(({ length }) => length), { timeout: 120_000, interval: 20 }).toBeGreaterThan(0);
  }

  text(id: string): Promise<string> {
    return this.page.locator(`#${id}`).innerText();
  }

  async data(id: string, name: string): Promise<string> {
    return (await this.page.locator(`#${id}`).getAttribute(`data-${name}`)) ?? '';
  }

  /** Losses of all steps so far. */
  async losses(): Promise<number[]> {
    return JSON.parse((await this.data('curve', 'losses')) || '[]') as number[];
  }

  async download(what: 'adapter' | 'fused model'): Promise<Uint8Array> {
    const coming = this.page.waitForEvent('download');
    await this.button(`Download the ${what}`).click();
    return new Uint8Array(readFileSync(await (await coming).path()));
  }

  /** Whether anything stands out to the right of the window. */
  async overflow(): Promise<number> {
    return this.page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  }
}
