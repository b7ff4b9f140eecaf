import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { buildPage, servePage } from '../../examples/browser/serve.mjs';
import { splitText } from '../../examples/browser/worker/text.ts';
import { mobyDickChapters } from '../../examples/quickstart/text.mjs';
import { loadModel } from '../../src/io/model.ts';
import { keepMaskOf } from '../../src/sparse/pack.ts';
import { evaluate } from '../../src/tasks/evaluate.ts';
import { finetune } from '../../src/tasks/finetune.ts';
import { fuse } from '../../src/tasks/fuse.ts';
import { temporaryDirectory } from '../io/temporary.ts';
import { launch, withChromium } from './chromium.ts';
import { SMALL, TrainingPage } from './page.ts';
import { unpackZip } from './zip.ts';

// A browser beside other tests on few cores takes its time.
vi.setConfig({ testTimeout: 150_000, hookTimeout: 150_000 });

/** The first chapters: long enough to learn from in seconds. */
const TEXT = mobyDickChapters().train.slice(0, 4).join('\n\n');

/** Of the evaluation, in the page and here. */
const LENGTH = Number(SMALL['Tokens a row']);

function quickstart(name: string): string {
  return fileURLToPath(new URL(`../../examples/quickstart/${name}`, import.meta.url));
}

/** What a page with SMALL does, done by the command's own function. */
async function finetuneHere(out: string): Promise<Buffer> {
  const data = join(out, 'data');
  mkdirSync(data);
  const { train } = splitText('pasted.txt', TEXT);
  writeFileSync(join(data, 'train.jsonl'), train.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const [iters, rank, batchSize] = [Number(SMALL.Steps), Number(SMALL.Rank), Number(SMALL['Rows a step'])];
  await finetune({
    model: quickstart('model'),
    data,
    out: join(out, 'run'),
    ...{ prune: 'wanda', sparsity: '2:4', calibrationSamples: 32, rank, alpha: 2 * rank, iters, batchSize },
    ...{ maxSeqLength: LENGTH, learningRate: 4e-3, warmup: 1, seed: 1, kernels: 'plain', threads: 1, saveEvery: 0 },
  });
  return readFileSync(join(out, 'run', 'adapter_model.safetensors'));
}

withChromium('the page', () => {
  const out = temporaryDirectory();
  let browser: Browser;
  let isolated: Awaited<ReturnType<typeof servePage>>;
  let plain: Awaited<ReturnType<typeof servePage>>;
  const contexts: { close: () => Promise<void> }[] = [];
  let adapters = 0;

  /** The adapter of SMALL as `lors finetune` makes it. */
  let adapterOfNode: Buffer;

  beforeAll(async () => {
    adapterOfNode = await finetuneHere(out);
    await buildPage(join(out, 'page'));
    [browser, isolated, plain] = await Promise.all([
      launch(),
      servePage('isolated', join(out, 'page')),
      servePage('plain', join(out, 'page')),
    ]);
  });
  afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));
  afterAll(() => Promise.all([browser.close(), isolated.close(), plain.close()]));

  /** A page in a profile of its own. */
  async function open(options: BrowserContextOptions & { readonly from?: 'plain'; readonly query?: string } = {}): Promise<TrainingPage> {
    const { from, query, ...rest } = options;
    const context = await browser.newContext(rest);
    contexts.push(context);
    const page = new TrainingPage(await context.newPage());
    await page.open(from === 'plain' ? plain.url : isolated.url, query);
    return page;
  }

  /** A model's directory that lacks a file. */
  function missingTokenizer(): string {
    const directory = join(out, 'without-tokenizer');
    mkdirSync(directory, { recursive: true });
    for (const name of ['config.json', 'model.safetensors']) copyFileSync(join(quickstart('model'), name), join(directory, name));
    return directory;
  }

  /** The downloaded adapter, unpacked. */
  async function takeAdapter(page: TrainingPage): Promise<string> {
    const directory = join(out, `adapter-${++adapters}`);
    unpackZip(await page.download('adapter'), directory);
    return join(directory, 'adapter');
  }

  test('trains: the loss falls, the zeros stay, and Node finds the perplexity that the page shows', async () => {
    const page = await open();
    await page.paste(TEXT);
    await page.fill({ ...SMALL, Steps: '40', Rank: '16', 'Rows a step': '6' });
    await page.button('Train').click();
    await page.finished();

    const losses = await page.losses();
    expect(losses).toHaveLength(40);
    const mean = (part: readonly number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
    // A step is a noisy sample; ten of them together less so.
    expect(mean(losses.slice(-10))).toBeLessThan(mean(losses.slice(0, 10)) - 0.3);
    expect(await page.text('zeros')).toMatch(/^Of 589 824 pruned weights \(of 1 179 648\) all are still exactly zero\.$/);
    expect(await page.text('about')).toMatch(/plain SIMD kernels, \d+ threads?/);
    for (const moment of ['before', 'after']) {
      expect(await page.text(`${moment}-text`)).toMatch(/^The whale\S* \S+/);
      expect(await page.page.getByRole('img', { name: new RegExp(`^${moment}: .* 1152 of 2304 weights are zero`, 'i') }).count()).toBe(1);
    }
    expect(await page.text('after-text')).not.toBe(await page.text('before-text'));

    const [before, after] = [Number(await page.data('before-perplexity', 'exact')), Number(await page.data('after-perplexity', 'exact'))];
    expect(after).toBeLessThan(before * 0.8);

    // The same kernels on the same numbers: Node and Chromium give the same bits.
    const adapter = await takeAdapter(page);
    const model = join(adapter, 'pruned');
    const data = join(out, 'valid.jsonl');
    writeFileSync(
      data,
      splitText('pasted.txt', TEXT)
        .valid.map((row) => `${JSON.stringify(row)}\n`)
        .join(''),
    );
    const here = { model, data, maxSeqLength: LENGTH, kernels: 'plain' } as const;
    expect((await evaluate({ ...here, adapter })).perplexity).toBe(after);
    expect((await evaluate(here)).perplexity).toBe(before);

    // The fused model is the one that Node makes of the same adapter, to the last byte.
    unpackZip(await page.download('fused model'), out);
    fuse({ model, adapter, out: join(out, 'fused-here'), kernels: 'plain' });
    const [there, ours] = ['fused', 'fused-here'].map((name) => readFileSync(join(out, name, 'model.safetensors')));
    expect(there!.equals(ours!)).toBe(true);
    const [pruned, tuned] = [loadModel(model), loadModel(join(out, 'fused'))];
    for (const [name, weight] of pruned.linears) expect(keepMaskOf(tuned.linears.get(name)!), name).toEqual(keepMaskOf(weight));
    expect(page.errors).toEqual([]);
  });

  test('on two threads, and in one worker without isolation, it makes the adapter that `lors finetune` makes, bit for bit', async () => {
    const weights = async (page: TrainingPage): Promise<Buffer> => {
      await page.button('Train').click();
      await page.finished();
      return readFileSync(join(await takeAdapter(page), 'adapter_model.safetensors'));
    };
    const threads = await open();
    expect(await threads.text('machine')).not.toMatch(/not cross-origin isolated/);
    await threads.paste(TEXT);
    await threads.fill({ ...SMALL, Threads: '2' });
    expect((await weights(threads)).equals(adapterOfNode)).toBe(true);
    expect(await threads.text('about')).toMatch(/2 threads/);

    const alone = await open({ from: 'plain' });
    expect(await alone.text('machine')).toMatch(/^One thread, .* not cross-origin isolated/);
    await alone.paste(TEXT);
    await alone.fill(SMALL);
    expect(await alone.page.getByLabel('Threads').isDisabled()).toBe(true);
    expect((await weights(alone)).equals(adapterOfNode)).toBe(true);
    expect(await alone.text('about')).toMatch(/one thread/);
    expect([...threads.errors, ...alone.errors]).toEqual([]);
  });

  test.each([
    { store: 'file system', query: '' },
    { store: 'IndexedDB', query: '?store=indexeddb' },
  ])('stopped, reloaded and resumed from the $store, it ends where a run that never stops ends', async ({ store, query }) => {
    const page = await open({ query });
    expect(await page.text('machine')).toContain(`kept in this browser's ${store}`);
    await page.paste(TEXT);
    await page.fill({ ...SMALL, Threads: '2' });
    await page.button('Train').click();
    await page.loss();
    await page.button('Stop').click();
    await page.page.getByText(/^Stopped after step \d+/).waitFor();
    const stoppedAt = (await page.losses()).length;
    expect(stoppedAt).toBeLessThan(Number(SMALL.Steps));

    await page.page.reload();
    await page.page.getByRole('heading', { name: 'A run is kept in this browser' }).waitFor();
    expect(await page.text('kept-words')).toContain(`stopped after step ${stoppedAt} of ${SMALL.Steps}`);
    await page.button('Resume').click();
    await page.finished();
    expect(await page.losses()).toHaveLength(Number(SMALL.Steps));
    const weights = readFileSync(join(await takeAdapter(page), 'adapter_model.safetensors'));
    expect(weights.equals(adapterOfNode)).toBe(true);
    expect(page.errors).toEqual([]);
  });

  test('a reload in the middle of training loses what came after the last save, and nothing else', async () => {
    const page = await open();
    await page.paste(TEXT);
    await page.fill({ ...SMALL, Threads: '2' });
    await page.button('Train').click();
    await page.loss();
    await page.page.reload();
    await page.button('Resume').click();
    await page.finished();
    const weights = readFileSync(join(await takeAdapter(page), 'adapter_model.safetensors'));
    expect(weights.equals(adapterOfNode)).toBe(true);
  });

  test('a finished run is kept until it is deleted: after a reload it is opened as it ended', async () => {
    const page = await open();
    await page.paste(TEXT);
    await page.fill({ ...SMALL, Steps: '2' });
    await page.button('Train').click();
    await page.finished();
    const shown = await page.data('after-perplexity', 'exact');
    const weights = readFileSync(join(await takeAdapter(page), 'adapter_model.safetensors'));
    await page.page.reload();
    await page.page.getByText(/finished after 2 steps/).waitFor();
    await page.button('Open it').click();
    await page.finished();
    expect(await page.losses()).toHaveLength(2);
    expect(await page.data('after-perplexity', 'exact')).toBe(shown);
    expect(readFileSync(join(await takeAdapter(page), 'adapter_model.safetensors')).equals(weights)).toBe(true);

    await page.page.reload();
    await page.button('Delete it').click();
    await page.page.locator('#kept').waitFor({ state: 'hidden' });
    await page.page.reload();
    await page.ready();
    expect(await page.page.locator('#kept').isVisible()).toBe(false);
    expect(page.errors).toEqual([]);
  });

  test("a model of one's own, chosen as a directory, trains on JSONL with its zeros as the mask", async () => {
    const page = await open();
    await page.page.getByRole('radio', { name: /^My own a Hugging Face/ }).check();
    await page.page.getByLabel('Choose a directory').setInputFiles(quickstart('model'));
    expect(await page.text('model-given')).toMatch(/^4 files, 3\.0 MB: config\.json, model\.safetensors, tokenizer\.json/);
    const data = join(out, 'rows.jsonl');
    writeFileSync(
      data,
      ['a', 'b', 'c'].map((text) => `${JSON.stringify({ prompt: `Say ${text}:`, completion: ` ${text} it is.` })}\n`).join(''),
    );
    await page.page.getByRole('radio', { name: /^My own text/ }).check();
    await page.page.getByLabel('Choose a file').setInputFiles(data);
    await page.fill({ ...SMALL, Steps: '2', 'Weights that stay': 'keep' });
    await page.button('Train').click();
    await page.finished();
    expect(await page.text('about')).toMatch(/^Your model: 1 443 456 parameters/);
    // It is dense: no weight was pruned, and the adapter comes without a base.
    expect(await page.text('zeros')).toMatch(/^Of 0 pruned weights/);
    const directory = join(out, 'own');
    expect(unpackZip(await page.download('adapter'), directory)).toEqual([
      'adapter/adapter_config.json',
      'adapter/adapter_model.safetensors',
    ]);
    expect(page.errors).toEqual([]);
  });

  test.each([
    {
      what: 'a model without its tokenizer',
      give: async (page: TrainingPage) => {
        await page.page.getByRole('radio', { name: /^My own a Hugging Face/ }).check();
        await page.page.getByLabel('Choose a directory').setInputFiles(missingTokenizer());
      },
      says: /^Model: expected a directory with tokenizer\.json, got config\.json, model\.safetensors\.$/,
      focus: 'model-files',
    },
    {
      what: 'no text',
      give: (page: TrainingPage) => page.paste('   '),
      says: /^Text: expected some to learn from, got none\.$/,
      focus: 'text-pasted',
    },
    { what: 'no steps', give: (page: TrainingPage) => page.fill({ Steps: '0' }), says: /^Steps: /, focus: undefined },
    {
      what: 'a text too short to hold some out',
      give: (page: TrainingPage) => page.paste('whale'),
      says: /^Training: pasted\.txt: expected enough text to hold out a tenth of it, got 5 characters\.$/,
      focus: undefined,
    },
    {
      what: 'rows longer than the model has positions',
      give: async (page: TrainingPage) => {
        await page.paste(TEXT);
        await page.fill({ 'Tokens a row': '4096' });
      },
      says: /^Training: .*expected at most the model's 256 positions, got 4096\.$/,
      focus: undefined,
    },
  ])('refuses $what, and can be used again', async ({ give, says, focus }) => {
    const page = await open();
    await give(page);
    await page.button('Train').click();
    await page.page.getByRole('alert').waitFor();
    expect(await page.text('problem')).toMatch(says);
    if (focus !== undefined) expect(await page.page.evaluate('document.activeElement.id')).toBe(focus);
    expect(await page.button('Train').isEnabled()).toBe(true);
  });

  test('measures the kernels and shows the report', async () => {
    const page = await open();
    await page.page.getByRole('combobox', { name: 'Matrix' }).selectOption('384x128');
    await page.page.getByLabel('Seconds, twice').fill('0.1');
    await page.button('Measure').click();
    await page.page.getByRole('heading', { name: 'Which sparsity pays on this machine?' }).waitFor();
    expect(await page.text('bench-status')).toMatch(/^Measured 40 kernels/);
    expect(await page.page.locator('#report .rows tbody tr').count()).toBe(40);
    expect(await page.page.locator('#report svg').count()).toBeGreaterThan(3);
    expect(page.errors).toEqual([]);
  });
});
