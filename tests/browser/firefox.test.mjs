// The page in Firefox: a first visit, every view, a dropped image and the URL. All other tests use Chromium. The driver is
// puppeteer, because playwright needs its own build of Firefox.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { VIEWS, png } from './driver.mjs';
import { SHOTS, THREADS, serveSite } from './harness.mjs';

const FIREFOX = process.env.FIREFOX ?? ['firefox-esr', 'firefox'].map((name) => `/usr/bin/${name}`).find(existsSync);

let server, browser;
before(async () => {
  [server, browser] = [await serveSite(), await puppeteer.launch({ browser: 'firefox', executablePath: FIREFOX, headless: true })];
});
after(async () => { await browser?.close(); await server?.close(); });

test('attacks, views, dropped images and URLs work without errors', async (t) => {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  const problems = [];
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (request) => { if (!request.url().startsWith(server.url) && !/^(data|blob):/.test(request.url())) problems.push(`request to another host: ${request.url()}`); });
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
  const text = (selector) => page.$eval(selector, (element) => element.innerText);
  const attackDone = () => page.waitForSelector('.progress[data-phase=done]', { timeout: 60_000 });

  await page.goto(`${server.url}#model=ce&view=none&backend=cpu`);
  await attackDone();
  t.diagnostic(`${await browser.version()}: ${await text('#verdict')} ${await text('#progress')}`);
  assert.match(await text('#verdict'), /^The standard model is fooled/);
  const cores = await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 16));
  assert.match(await text('#backend-line'), new RegExp(`^CPU \\(${THREADS && cores > 1 ? `${cores} threads` : '1 thread'}\\)`));

  for (const view of VIEWS) {
    await page.click(`.tabs label:has([value=${view}])`);
    await page.waitForFunction((view) => {
      const open = document.querySelector(`#view-${view}`);
      const plots = [...open?.querySelectorAll('figure.plot:not([hidden])') ?? []];
      return open?.ariaBusy === 'false' && !open.querySelector('.stale') && plots.length > 0 && plots.every((plot) => plot.querySelector('svg'));
    }, { timeout: 120_000 }, view);
    const words = await text('#view-words');
    t.diagnostic(`${view}: ${words}`);
    assert.match(words, /^[A-Z].{20,}\.$/s);
    // The URL omits the default view.
    assert.equal(new URL(page.url()).hash.match(/view=(\w+)/)?.[1], view === 'layers' ? undefined : view);
  }
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, 'firefox.png'), fullPage: true });

  const bytes = png(64, 48, (x, y) => [4 * x, 5 * y, 90]).toString('base64');
  await page.evaluate((bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], 'mine.png', { type: 'image/png' }));
    for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, bytes);
  await page.waitForFunction(() => /mine\.png/.test(document.querySelector('.images figcaption').innerText));
  await attackDone();

  const url = `${server.url}#model=otjr&sample=3&attack=fgsm&view=embedding&backend=cpu`;
  await page.goto('about:blank');
  await page.goto(url);
  await attackDone();
  assert.match(await text('#verdict'), /^The robust model/);
  assert.equal(await page.$eval('[name=view]:checked', (radio) => radio.value), 'embedding');
  assert.deepEqual(problems, []);
});
