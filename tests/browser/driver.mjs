// How the tests operate the page: they change settings, upload files and read what the page shows. Also creates files to upload.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { DIST } from './harness.mjs';

// --- the page ------------------------------------------------------------------------------------------------------

/** Waits until the current attack has finished. */
export const attackDone = (page, timeout = 60_000) => page.waitForSelector('.progress[data-phase=done]', { timeout });

/** Calls `act`, then waits until the attack that it starts has finished. */
export async function attackAfter(page, act, timeout = 60_000) {
  await page.evaluate(() => {
    const progress = document.querySelector('.progress');
    const root = document.documentElement.dataset;
    let started = false;
    window.__watch?.disconnect();
    window.__watch = new MutationObserver(() => {
      started ||= progress.dataset.phase !== 'done';
      root.settled = started && progress.dataset.phase === 'done';
    });
    window.__watch.observe(progress, { attributeFilter: ['data-phase'] });
    root.settled = false;
  });
  await act();
  await page.waitForSelector('html[data-settled="true"]', { timeout });
}

/** Changes a text box or a select of the settings, as a user would. */
export async function setControl(page, key, value) {
  const control = page.locator(`#${key}`);
  if (!await control.isVisible()) await page.click('summary');
  if (await control.evaluate((element) => element.nodeName === 'SELECT')) return control.selectOption(value);
  await control.fill(value);
  await control.press('Enter');
}

/** Selects a built-in model, and waits until the attack on it has finished. */
export async function selectModel(page, model, timeout = 60_000) {
  await page.locator('.pick', { has: page.locator(`[name=model][value=${model}]`) }).click();
  await page.waitForFunction((words) => document.querySelector('#about-model').innerText.includes(words)
    && document.querySelector('.progress').dataset.phase === 'done', { otjr: 'with OTJR', ce: 'without attacks', pgd: 'adversarial images only' }[model], { timeout });
}

/** Records the tasks of the page's main thread from before it loads. */
export const recordTrace = (browser) => (page) => browser.startTracing(page, { categories: ['toplevel', 'blink.user_timing'] });

/** CPU time in milliseconds of the longest task of the recorded page. Unlike a task's duration, it does not grow when other
 *  programs use the machine. */
export async function longestComputation(browser, page) {
  await page.evaluate(() => performance.mark('this page'));
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const { pid, tid } = traceEvents.find(({ name }) => name === 'this page');
  const work = traceEvents.filter((e) => e.pid === pid && e.tid === tid && e.tdur).map((e) => e.tdur / 1000);
  assert.ok(work.length > 100, 'the main thread was not recorded');
  return Math.max(...work);
}

/** The exact probabilities that the page shows, by class: {names, clean, attacked}. */
export const probabilities = (page) => page.evaluate(() => {
  const rows = [...document.querySelectorAll('.probabilities tbody tr')];
  const numbers = (key) => rows.map((row) => Number(row.dataset[key] ?? NaN));
  return { names: rows.map((row) => row.querySelector('th').textContent), clean: numbers('clean'), attacked: numbers('attacked') };
});

export const top = (values) => values.indexOf(Math.max(...values));
export const largestDifference = (a, b) => { // NaN counts as infinitely different
  assert.equal(a.length, b.length);
  return Math.max(0, ...a.map((value, i) => { const d = Math.abs(value - b[i]); return Number.isNaN(d) ? Infinity : d; }));
};

/** The bytes (RGBA) of the canvas #original or #attacked. */
export const pixels = (page, id) => page.evaluate((id) => {
  const canvas = document.getElementById(id);
  return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
}, id);

/** Checks that the attack changed some pixel and none by more than epsilon (in 255ths). Canvases hold whole bytes. */
export async function checkEpsilon(page, epsilon) {
  const [before, after] = [await pixels(page, 'original'), await pixels(page, 'attacked')];
  assert.equal(before.length, 4 * 32 * 32);
  const largest = largestDifference(before, after);
  assert.ok(largest > 0, 'the attack changed nothing');
  assert.ok(largest <= epsilon + 0.5, `a pixel changed by ${largest}/255, epsilon is ${epsilon}/255`);
  return largest;
}

/** Steps and milliseconds of the last attack. */
export async function duration(page) {
  const [, steps, ms] = (await page.innerText('#progress')).match(/(\d+) steps?, (\d+) ms/);
  return { steps: Number(steps), ms: Number(ms) };
}

export const notices = (page) => page.locator('.notice p').allInnerTexts();

/** Waits for a notice with the text `what`, dismisses it and returns its text. */
export async function expectNotice(page, what) {
  const found = page.locator('.notice', { hasText: what });
  await found.first().waitFor({ timeout: 20_000 }).catch(async () => {
    throw new Error(`there is no notice ${what}; there are: ${JSON.stringify(await notices(page))}`);
  });
  const text = await found.locator('p').innerText();
  await found.locator('button').click();
  return text;
}

/** The state that a rejected file must not change. */
export const pageState = async (page) => JSON.stringify({
  hash: await page.evaluate(() => location.hash), probabilities: await probabilities(page), verdict: await page.innerText('#verdict'),
  before: await pixels(page, 'original'), after: await pixels(page, 'attacked'), model: await page.innerText('#about-model'),
});

// --- several models, views, charts ---------------------------------------------------------------------------------

export const VIEWS = ['layers', 'embedding', 'transport', 'jacobian', 'landscape'];

/** Waits until both models have been attacked and evaluated on both adversarial images, and the open view ('none': all views
 *  are closed) is complete. */
export const viewReady = (page, view, timeout = 120_000) => page.waitForFunction((view) => {
  if (document.querySelectorAll('#beside tbody tr').length < 2 || document.querySelectorAll('#beside td[data-p]').length < 6) return false;
  const open = document.querySelector('.view');
  if (view === 'none' || !open) return view === 'none' && !open;
  const plots = [...open.querySelectorAll('figure.plot:not([hidden])')];
  const drawn = plots.length > 0 && plots.every((plot) => plot.querySelector('svg'));
  return open.id === `view-${view}` && open.ariaBusy === 'false' && !open.querySelector('.stale') && drawn;
}, view, { timeout });

/** Opens a view, as a user would, and waits until it is complete. */
export async function openView(page, view) {
  await page.locator('.tabs label', { has: page.locator(`[value=${view}]`) }).click();
  await viewReady(page, view);
}

/** The content of the open view: its caption, and each chart's id, title and SVG. */
export const viewContent = async (page) => ({
  words: await page.innerText('#view-words'),
  charts: await page.locator('.view figure.plot:not([hidden])').evaluateAll((list) => list.map((figure) => {
    const svg = figure.querySelector('svg');
    return { id: figure.id, title: svg.querySelector('title').textContent, svg: svg.outerHTML };
  })),
});

/** Saves a chart as 'svg', 'png' or 'csv': {name, bytes}. */
export async function saveChart(page, id, kind) {
  const coming = page.waitForEvent('download');
  await page.locator(`#${id} .save button`, { hasText: kind.toUpperCase() }).click();
  const download = await coming;
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** The data of a chart, from its CSV file, one object per point: {series, x, y, ..}. */
export async function chartData(page, id) {
  const lines = (await saveChart(page, id, 'csv')).bytes.toString('utf8').trimEnd().split('\r\n');
  const cells = (line) => [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
  const columns = cells(lines.shift());
  // The value of a region is a class name.
  const isText = (column, text) => ['series', 'place'].includes(column) || text === '' || (column === 'value' && /^[a-z]/.test(text));
  const value = (column, text) => isText(column, text) ? text : Number(text);
  return lines.map((line) => Object.fromEntries(cells(line).map((text, i) => [columns[i], value(columns[i], text)])));
}

// --- files ---------------------------------------------------------------------------------------------------------

const CRC = Uint32Array.from({ length: 256 }, (_, n) => { for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1; return n; });
const crc = (bytes) => ~bytes.reduce((c, byte) => CRC[(c ^ byte) & 255] ^ (c >>> 8), -1) >>> 0;

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc(body), body.length + 4);
  return whole;
}

/** A PNG file; `color(x, y)` returns [r, g, b] or, with `alpha`, [r, g, b, a]. Without `color` the file has no pixels. */
export function png(width, height, color, alpha = false) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, alpha ? 6 : 2, 0, 0, 0], 8);
  const rows = [];
  for (let y = 0; color && y < height; y++) {
    rows.push(Buffer.from([0]), ...Array.from({ length: width }, (_, x) => Buffer.from(color(x, y))));
  }
  const data = deflateSync(Buffer.concat(rows));
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

/** Adds an EXIF orientation to the bytes of a JPEG file. */
export function withOrientation(jpeg, orientation) {
  const tiff = Buffer.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
  const exif = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff]);
  const marker = Buffer.from([0xff, 0xe1, 0, exif.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), marker, exif, jpeg.subarray(2)]);
}

export const builtinModel = (key) => readFile(join(DIST, 'public/models', `${key}.safetensors`));
export const fixture = (name) => readFile(new URL(`../fixtures/${name}.safetensors`, import.meta.url));

/** A safetensors file with the float32 arrays {name: {shape, values}}. */
export function safetensors(arrays) {
  const header = {};
  const parts = [];
  let at = 0;
  for (const [name, { shape, values }] of Object.entries(arrays)) {
    const bytes = Buffer.from(Float32Array.from(values).buffer);
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + bytes.length] };
    parts.push(bytes);
    at += bytes.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

/** The same safetensors file with a NaN in the first tensor whose name contains `part`. */
export function withNaN(file, part) {
  const copy = Buffer.from(file);
  const size = Number(copy.readBigUInt64LE());
  const header = JSON.parse(copy.subarray(8, 8 + size));
  const [, { data_offsets: [start] }] = Object.entries(header).find(([name]) => name.includes(part));
  copy.writeFloatLE(NaN, 8 + size + start + 8);
  return copy;
}
