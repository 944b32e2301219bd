// What the browser tests share: the site under a sub-path, Chromium with and without WebGPU, pages that fail on any
// complaint, dropped files, screenshots, and measures of speed and size.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { brotli, gzipped, serve } from './server.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
export const DIST = resolve(process.env.DIST ?? join(HERE, '../../dist'));
/** Whether the page was built with threads: native/serve says where it cannot. */
export const THREADS = existsSync(join(DIST, 'worker-threads.js'));
export const SHOTS = join(HERE, 'shots');

const QUIET = [
  '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic',
  '--disable-default-apps', '--disable-domain-reliability', '--disable-client-side-phishing-detection',
];
const BACKENDS = {
  // WebGPU on SwiftShader, a GPU emulated on the CPU: slow, so tiny nets and no conclusions about speed.
  webgpu: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
  // What a user without WebGPU has.
  cpu: ['--disable-gpu', '--disable-features=WebGPU,WebGPUService', '--disable-blink-features=WebGPU'],
};

/** The built page, served under /sub/ so that an absolute path shows as a 404; `options` are the server's. */
export async function site(options = {}) {
  await access(join(DIST, 'index.html')).catch(() => { throw new Error(`there is no page in ${DIST}: run native/serve --build-only`); });
  return serve(DIST, { base: '/sub/', ...options });
}

/** Starts Chromium; `backend` is 'webgpu' or 'cpu', `more` are further switches. Close it in `after`. */
export async function launch(backend, more = []) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, headless: false, args: ['--headless=new', '--no-sandbox', ...QUIET, ...BACKENDS[backend], ...more] });
}

/**
 * Opens the site and hands the page to `check`; afterwards any console error, uncaught error (in the page or a worker),
 * failed request or request to another host fails the test.
 * Options: `path` (what follows the site's address, such as '#steps=10'), `width`, `height`, `scheme` ('light' | 'dark'),
 * `touch`, `reducedMotion`, `before` (gets the page before it loads), `allow` (patterns of complaints that are expected).
 */
export async function visit(browser, server, options, check) {
  const { path = '', width = 1280, height = 900, scheme = 'light', touch = false, reducedMotion = false, before, allow = [] } = options;
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: scheme, hasTouch: touch, reducedMotion: reducedMotion ? 'reduce' : 'no-preference',
    acceptDownloads: true, permissions: ['clipboard-read', 'clipboard-write'],
  });
  const problems = [];
  const page = await context.newPage();
  const complain = (text) => { if (!allow.some((pattern) => pattern.test(text))) problems.push(text); };
  const origin = new URL(server.url).origin;
  context.on('console', (message) => { if (message.type() === 'error') complain(`console: ${message.text()} (${message.location().url})`); });
  context.on('weberror', (error) => complain(`uncaught: ${error.error()?.stack ?? error.error()}`));
  page.on('crash', () => complain('the page crashed'));
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin + '/') && !/^(data|blob):/.test(url)) complain(`foreign request: ${url}`);
  });
  context.on('requestfailed', (request) => complain(`failed request: ${request.url()} ${request.failure()?.errorText}`));
  context.on('response', (response) => { if (response.status() >= 400) complain(`${response.status()}: ${response.url()}`); });
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
    await page.waitForTimeout(50); // late complaints
    assert.deepEqual(problems, [], 'the page complained');
    return result;
  } catch (error) {
    if (problems.length && !String(error.message).includes('complained')) error.message += `\nThe page had complained:\n  ${problems.join('\n  ')}`;
    throw error;
  } finally {
    await context.close().catch(() => {}); // a crash is told by what failed before
  }
}

/** Milliseconds from navigation to the first and to the largest paint so far. */
export async function paints(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))); // the entries come late
  return page.evaluate(() => ({
    first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
    largest: window.__largest || null,
  }));
}

/** The longest time in ms that the main thread was blocked since the page loaded or since `forgetTasks` (0: never over 50 ms). */
export const longestTask = async (page) => {
  await page.evaluate(() => new Promise((done) => setTimeout(done, 100))); // the observer's entries come late
  return page.evaluate(() => Math.max(0, ...window.__tasks.map((task) => task.ms)));
};
export const forgetTasks = (page) => page.evaluate(() => { window.__tasks.length = 0; });

/** A file for `dropFiles` and `pasteFile`. */
export const file = (name, type, bytes) => ({ name, type, base64: Buffer.from(bytes).toString('base64') });

const transferOf = (page, files) => page.evaluateHandle((list) => {
  const transfer = new DataTransfer();
  for (const { name, type, base64 } of list) {
    transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type }));
  }
  return transfer;
}, files);

/** Drops files on an element, as a hand would: enter, over, drop. */
export const dropFiles = async (page, selector, ...files) => drop(page, selector, await transferOf(page, files));

const textOf = (page, parts) => page.evaluateHandle((parts) => {
  const transfer = new DataTransfer();
  for (const [type, text] of Object.entries(parts)) transfer.setData(type, text);
  return transfer;
}, parts);

/** Drops what a drag from another tab brings: `parts` are texts by their types, such as {'text/uri-list': 'https://...'}. */
export const dropText = async (page, selector, parts) => drop(page, selector, await textOf(page, parts));

async function drop(page, selector, dataTransfer) {
  for (const event of ['dragenter', 'dragover', 'drop']) await page.dispatchEvent(selector, event, { dataTransfer });
  await dataTransfer.dispose();
}

/** Pastes a file (an image from the clipboard, say) into an element. */
export const pasteFile = async (page, selector, pasted) => paste(page, selector, await transferOf(page, [pasted]));

/** Pastes texts, by their types. */
export const pasteText = async (page, selector, parts) => paste(page, selector, await textOf(page, parts));

async function paste(page, selector, transfer) {
  await page.locator(selector).evaluate((element, clipboardData) => {
    element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, transfer);
  await transfer.dispose();
}

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 360, height: 740 };

/** Takes NAME-{wide,narrow}-{light,dark}.png into tests/browser/shots and checks that nothing sticks out sideways. */
export async function shoot(page, name, { fullPage = true } = {}) {
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
    assert.ok(over <= 0, `${name}, ${size}: ${over} px stick out sideways`);
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
}

/** The README's images. */
const IMAGES = ['page', 'layers', 'embedding'];

/** With UPDATE_IMAGES=1, renews the README's image of this name, if it has one: of one element, or else of what is in view. */
export async function image(page, name, selector) {
  if (process.env.UPDATE_IMAGES !== '1' || !IMAGES.includes(name)) return;
  await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
  await (selector ? page.locator(selector) : page).screenshot({ path: join(HERE, 'images', `${name}.png`), animations: 'disabled' });
}

/** Every file of dist/ with its size in bytes, raw and compressed: {path, raw, gzip, brotli} (brotli at 9; 11 is some 12 % smaller and takes half a minute). */
export async function sizes() {
  const list = await readdir(DIST, { recursive: true, withFileTypes: true });
  return Promise.all(list.filter((entry) => entry.isFile()).map(async (entry) => {
    const full = join(entry.parentPath ?? entry.path, entry.name);
    const bytes = await readFile(full);
    return { path: relative(DIST, full), raw: bytes.length, gzip: (await gzipped(bytes)).length, brotli: (await brotli(bytes, 9)).length };
  }));
}
