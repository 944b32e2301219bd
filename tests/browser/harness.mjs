// Shared by the browser tests: a server, Chromium with and without WebGPU, pages on which any error fails the test, dropped
// files, screenshots, and measurements of time and size.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { brotli, gzipped, serve } from './server.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
export const DIST = resolve(process.env.DIST ?? join(HERE, '../../dist'));
/** Whether the page was built with threads. native/serve prints a message if it cannot build them. */
export const THREADS = existsSync(join(DIST, 'worker-threads.js'));
export const SHOTS = join(HERE, 'shots');

const QUIET = [
  '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic',
  '--disable-default-apps', '--disable-domain-reliability', '--disable-client-side-phishing-detection',
];
const BACKENDS = {
  // WebGPU on SwiftShader, which emulates a GPU on the CPU. It is slow, so the tests use it for few steps and measure no speed.
  webgpu: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
  // A browser without WebGPU.
  cpu: ['--disable-gpu', '--disable-features=WebGPU,WebGPUService', '--disable-blink-features=WebGPU'],
};

/** Serves the built page under /sub/, so that an absolute path fails with a 404. `options` are passed to `serve`. */
export async function serveSite(options = {}) {
  await access(join(DIST, 'index.html')).catch(() => { throw new Error(`the page is missing in ${DIST}: run native/serve --build-only`); });
  return serve(DIST, { base: '/sub/', ...options });
}

/** Starts Chromium. `backend` is 'webgpu' or 'cpu'; `more` are additional command-line switches. Close it in `after`. */
export async function launchBrowser(backend, more = []) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, headless: false, args: ['--headless=new', '--no-sandbox', ...QUIET, ...BACKENDS[backend], ...more] });
}

/**
 * Opens the page and calls `check` with it. Afterwards any console error, uncaught error (in the page or a worker), failed
 * request or request to another host fails the test.
 * Options: `path` (appended to the URL, such as '#steps=10'), `width`, `height`, `scheme` ('light' | 'dark'), `touch`,
 * `reducedMotion`, `before` (called with the page before it loads), `allow` (patterns of expected errors).
 */
export async function visit(browser, server, options, check) {
  const { path = '', width = 1280, height = 900, scheme = 'light', touch = false, reducedMotion = false, before, allow = [] } = options;
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: scheme, hasTouch: touch, reducedMotion: reducedMotion ? 'reduce' : 'no-preference',
    acceptDownloads: true, permissions: ['clipboard-read', 'clipboard-write'],
  });
  const problems = [];
  const page = await context.newPage();
  const addProblem = (text) => { if (!allow.some((pattern) => pattern.test(text))) problems.push(text); };
  const origin = new URL(server.url).origin;
  context.on('console', (message) => { if (message.type() === 'error') addProblem(`console: ${message.text()} (${message.location().url})`); });
  context.on('weberror', (error) => addProblem(`uncaught: ${error.error()?.stack ?? error.error()}`));
  page.on('crash', () => addProblem('the page crashed'));
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin + '/') && !/^(data|blob):/.test(url)) addProblem(`request to another host: ${url}`);
  });
  context.on('requestfailed', (request) => addProblem(`failed request: ${request.url()} ${request.failure()?.errorText}`));
  context.on('response', (response) => { if (response.status() >= 400) addProblem(`${response.status()}: ${response.url()}`); });
  await page.addInitScript(() => {
    window.__tasks = [];
    new PerformanceObserver((list) => window.__tasks.push(...list.getEntries().map((e) => ({ start: e.startTime, ms: e.duration }))))
      .observe({ type: 'longtask', buffered: true });
    window.__largest = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.__largest = e.startTime; })
      .observe({ type: 'largest-contentful-paint', buffered: true });
  });
  try {
    await before?.(page);
    await page.goto(server.url + path, { waitUntil: 'load' });
    const result = await check(page, problems);
    await page.waitForTimeout(50); // for late errors
    assert.deepEqual(problems, [], 'the page reported errors');
    return result;
  } catch (error) {
    if (problems.length && !String(error.message).includes('reported errors')) error.message += `\nThe page reported errors:\n  ${problems.join('\n  ')}`;
    throw error;
  } finally {
    await context.close().catch(() => {}); // after a crash, the check itself has failed
  }
}

/** Milliseconds from navigation to the first and to the largest contentful paint. */
export async function paints(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))); // the entries arrive late
  return page.evaluate(() => ({
    first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
    largest: window.__largest || null,
  }));
}

/** Duration in ms of the longest task of the main thread since the page loaded or since `clearTasks` (0: none over 50 ms). */
export const longestTask = async (page) => {
  await page.evaluate(() => new Promise((done) => setTimeout(done, 100))); // the observer's entries arrive late
  return page.evaluate(() => Math.max(0, ...window.__tasks.map((task) => task.ms)));
};
export const clearTasks = (page) => page.evaluate(() => { window.__tasks.length = 0; });

/** A file argument for `dropFiles` and `pasteFile`. */
export const file = (name, type, bytes) => ({ name, type, base64: Buffer.from(bytes).toString('base64') });

const transferOf = (page, files) => page.evaluateHandle((list) => {
  const transfer = new DataTransfer();
  for (const { name, type, base64 } of list) {
    transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type }));
  }
  return transfer;
}, files);

/** Drops files on an element, with the events of a real drag: enter, over, drop. */
export const dropFiles = async (page, selector, ...files) => drop(page, selector, await transferOf(page, files));

const textOf = (page, parts) => page.evaluateHandle((parts) => {
  const transfer = new DataTransfer();
  for (const [type, text] of Object.entries(parts)) transfer.setData(type, text);
  return transfer;
}, parts);

/** Drops text dragged from another tab. `parts` maps types to texts, such as {'text/uri-list': 'https://...'}. */
export const dropText = async (page, selector, parts) => drop(page, selector, await textOf(page, parts));

async function drop(page, selector, dataTransfer) {
  for (const event of ['dragenter', 'dragover', 'drop']) await page.dispatchEvent(selector, event, { dataTransfer });
  await dataTransfer.dispose();
}

/** Pastes a file, such as an image from the clipboard, into an element. */
export const pasteFile = async (page, selector, pasted) => paste(page, selector, await transferOf(page, [pasted]));

/** Pastes text. `parts` maps types to texts. */
export const pasteText = async (page, selector, parts) => paste(page, selector, await textOf(page, parts));

async function paste(page, selector, transfer) {
  await page.locator(selector).evaluate((element, clipboardData) => {
    element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, transfer);
  await transfer.dispose();
}

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 360, height: 740 };

/** Saves NAME-{wide,narrow}-{light,dark}.png in tests/browser/shots and checks that nothing overflows horizontally. */
export async function takeScreenshots(page, name, { fullPage = true } = {}) {
  await mkdir(SHOTS, { recursive: true });
  const before = page.viewportSize();
  for (const [size, viewport] of [['wide', WIDE], ['narrow', NARROW]]) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(100);
      await page.screenshot({ path: join(SHOTS, `${name}-${size}-${colorScheme}.png`), fullPage, animations: 'disabled' });
    }
    const over = await page.evaluate(() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${name}, ${size}: ${over} px overflow horizontally`);
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}

/** Names of the README's images. */
const IMAGES = ['page', 'layers', 'embedding'];

/** With UPDATE_IMAGES=1, updates the README's image of this name, if it has one, from one element or the visible page. */
export async function updateReadmeImage(page, name, selector) {
  if (process.env.UPDATE_IMAGES !== '1' || !IMAGES.includes(name)) return;
  await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
  await (selector ? page.locator(selector) : page).screenshot({ path: join(HERE, 'images', `${name}.png`), animations: 'disabled' });
}

/** Every file in dist/ with its size in bytes, raw and compressed: {path, raw, gzip, brotli}. Brotli has quality 9 here;
 *  quality 11 gives about 12 % less, but takes half a minute. */
export async function fileSizes() {
  const list = await readdir(DIST, { recursive: true, withFileTypes: true });
  return Promise.all(list.filter((entry) => entry.isFile()).map(async (entry) => {
    const full = join(entry.parentPath ?? entry.path, entry.name);
    const bytes = await readFile(full);
    return { path: relative(DIST, full), raw: bytes.length, gzip: (await gzipped(bytes)).length, brotli: (await brotli(bytes, 9)).length };
  }));
}
