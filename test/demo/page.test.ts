import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page as Tab } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Demo, startDemo } from '../../services/demo/demo.ts';
import { loadPage } from '../../services/demo/page.ts';
import { FakeBus, FakeStream } from './fake-bus.ts';

describe('the file', () => {
  const { html, policy } = loadPage();

  test('is one: nothing is fetched, nothing is left to be put in', () => {
    expect(html).not.toMatch(/<link[^>]*href="(?!data:)|src=|@import|url\(/);
    expect(html).not.toMatch(/^(import|export) |<!-- /m);
  });

  test('its policy names the style and the script that are in it', () => {
    const parts = [...html.matchAll(/<(?:style|script type="module")>([\s\S]*?)<\/(?:style|script)>/g)];
    expect(parts).toHaveLength(2);
    for (const [, text = ''] of parts) {
      expect(policy).toContain(`'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    }
  });
});

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'];
const quiet = ['--disable-background-networking', '--disable-component-update'];

describe.skipIf(!existsSync(executablePath))('in a browser', () => {
  let browser: Browser;
  let stream: FakeStream;
  let bus: FakeBus;
  let demo: Demo;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: [...flags, ...quiet] });
  }, 30_000);
  afterAll(() => browser?.close());

  beforeEach(async () => {
    stream = new FakeStream();
    bus = new FakeBus(stream);
    const options = { name: 'backend-1', host: '127.0.0.1', port: 0, confirmMs: 300 };
    demo = await startDemo({ bus, now: Date.now }, options);
    return () => demo.close();
  });

  /** A tab of its own on the page; `faults` are script errors and what the policy refused. */
  async function open(options: BrowserContextOptions = {}): Promise<{ tab: Tab; faults: string[]; asked: string[] }> {
    const context = await browser.newContext(options);
    const tab = await context.newPage();
    // So that tests need not wait for the next poll.
    await tab.clock.install();
    const faults: string[] = [];
    const asked: string[] = [];
    tab.on('pageerror', error => faults.push(error.message));
    tab.on('console', line => line.text().includes('Content Security Policy') && faults.push(line.text()));
    tab.on('request', request => asked.push(request.url()));
    await tab.goto(demo.url);
    return { tab, faults, asked };
  }

  async function write(tab: Tab, author: string, text: string): Promise<void> {
    await tab.getByLabel('Name').fill(author);
    await tab.getByLabel('Message', { exact: true }).fill(text);
    await tab.getByRole('button', { name: 'Post message' }).click();
  }

  test('what people type is shown as they typed it, and never run', async () => {
    const { tab, faults, asked } = await open();
    await tab.getByText('No messages yet').waitFor();
    const text = '<img src=x onerror="document.title=1">\n<script>document.title=2</script>';
    await write(tab, '<b>Mallory</b>', text);
    const item = tab.locator('#messages > li').filter({ hasText: 'backend-1' });
    expect(await item.locator('.author').textContent()).toBe('<b>Mallory</b>');
    expect(await item.locator('.body').textContent()).toBe(text);
    expect(await tab.title()).toBe('Warren demo');
    expect(faults).toEqual([]);
    expect(asked.filter(url => !url.startsWith(demo.url) && !url.startsWith('data:'))).toEqual([]);
  });

  test('a message on its way is shown at once; refused, it says why and can be sent again', async () => {
    const { tab } = await open();
    bus.confirms = false;
    await write(tab, '', 'Hello');
    await tab.locator('.pending', { hasText: 'Hello' }).getByText('Sending…').waitFor();
    const failed = tab.locator('.failed', { hasText: 'Hello' });
    await failed.getByText('The message broker did not confirm the message.').waitFor();
    bus.confirms = true;
    await failed.getByRole('button', { name: 'Try again' }).click();
    await tab.locator('#messages > li', { hasText: 'backend-1' }).waitFor();
    expect(await tab.locator('#messages > li').count()).toBe(1);
  });

  test('an empty message is not sent, and the page says so', async () => {
    const { tab } = await open();
    await write(tab, 'Ada', '  ');
    expect(await tab.getByRole('alert').textContent()).toBe('Write a message first.');
    expect(await tab.getByLabel('Message', { exact: true }).getAttribute('aria-invalid')).toBe('true');
  });

  test('others’ messages arrive without a reload, newest first', async () => {
    const { tab } = await open();
    await write(tab, 'Ada', 'first');
    await tab.locator('#messages > li', { hasText: 'backend-1' }).waitFor();
    const body = Buffer.from([0x12, 0x05, ...Buffer.from('later')]);
    stream.append({ type: 'warren.demo.v1.Post', key: '', body, messageId: 'from elsewhere' });
    await tab.clock.runFor(2000);
    await tab.locator('#messages > li:first-child', { hasText: 'later' }).waitFor();
    expect(await tab.locator('#messages .body').allTextContents()).toEqual(['later', 'first']);
  });

  test('a list that cannot be had is said in words, and had again by itself', async () => {
    bus.enter('connecting');
    const { tab } = await open();
    await tab.getByText('backend-1 has no connection to the message broker').waitFor();
    await tab.route('**/api/messages', route => route.abort());
    await tab.clock.runFor(2000);
    await tab.getByText('The list could not be refreshed. The server cannot be reached.').waitFor();
    await tab.unroute('**/api/messages');
    await tab.clock.runFor(2000);
    await tab.getByText('The list could not be refreshed.').waitFor({ state: 'hidden' });
  });

  test('who answered is shown as cells and chips', async () => {
    const { tab } = await open();
    await tab.getByText(/^backend-1 answered in \d+ ms/).waitFor();
    await tab.getByRole('button', { name: 'Ask 12 times' }).click();
    await tab.locator('#tally li', { hasText: '100 % of 13 answers' }).waitFor();
    expect(await tab.locator('#chips li').count()).toBe(13);
    await tab.getByText('Only one backend has answered so far.').waitFor();
  });

  test('the form works without scripts', async () => {
    const { tab } = await open({ javaScriptEnabled: false });
    await write(tab, 'Ada', 'plain');
    await tab.waitForURL(`${demo.url}/`);
    const list = await fetch(`${demo.url}/api/messages`);
    expect(await list.json()).toMatchObject([{ author: 'Ada', text: 'plain' }]);
  });
});
