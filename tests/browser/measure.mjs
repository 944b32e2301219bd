// Measures the page on the CPU backend and prints a table: downloads, times and memory. Run: node tests/browser/measure.mjs
import { fileURLToPath } from 'node:url';
import { attackAfter, attackDone, viewReady } from './driver.mjs';
import { launchBrowser, longestTask, paints, serveSite, visit } from './harness.mjs';

const MB = 2 ** 20;

/** Measures a first visit. Bytes downloaded until the first attack is done (`bytes`) and by the service worker afterwards
 *  (`cached`). Milliseconds to the first contentful paint (`first`), to the end of the attack (`over`) and to the first view
 *  (`all`); total blocking time (`blocked`); the longest task (`longest`). */
export async function firstVisit(browser, server) {
  server.transfers.length = 0;
  return visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    await attackDone(page);
    const over = await page.evaluate(() => performance.now());
    const { first } = await paints(page);
    const longest = await longestTask(page);
    const blocked = await page.evaluate((over) => window.__tasks.filter(({ start }) => start < over).reduce((sum, { ms }) => sum + ms - 50, 0), over);
    await viewReady(page, 'layers');
    const all = await page.evaluate(() => performance.now());
    const firstCached = server.transfers.findIndex(({ path }) => /^service-worker.js|ce.safetensors/.test(path));
    const sum = (list) => list.reduce((sum, { bytes }) => sum + bytes, 0);
    const [bytes, cached] = [server.transfers.slice(0, firstCached), server.transfers.slice(firstCached)].map(sum);
    return { bytes, cached, first, over, blocked, longest, all };
  });
}

/** Gives `memory` access to the WebAssembly memory of the page and its worker. */
async function exposeMemory(page) {
  await page.addInitScript(() => addEventListener('TrunkApplicationStarted', ({ detail }) => { window.__wasm = detail.wasm; }));
  await page.context().route('**/worker-*_loader.js', async (route) => {
    const response = await route.fetch();
    const keep = `const load = WebAssembly.instantiateStreaming;
      WebAssembly.instantiateStreaming = async (...all) => { const it = await load.apply(WebAssembly, all); self.__wasm = it.instance.exports; return it; };`;
    await route.fulfill({ response, body: `${keep}\n${await response.text()}` });
  });
}

/** Memory in use after garbage collection, in bytes: WebAssembly memory of the worker and of the page, JavaScript heap of the
 *  page. Also the number of DOM nodes. */
async function memory(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  await devtools.send('HeapProfiler.enable');
  for (let i = 0; i < 3; i++) await devtools.send('HeapProfiler.collectGarbage');
  const { metrics } = await devtools.send('Performance.getMetrics');
  await devtools.detach();
  const metric = (name) => metrics.find((m) => m.name === name).value;
  const size = () => self.__wasm.memory.buffer.byteLength;
  return { worker: await page.workers()[0].evaluate(size), page: await page.evaluate(size), heap: metric('JSHeapUsedSize'), nodes: metric('Nodes') };
}

/** Warm-up attacks. They load code that is compiled on first use. */
const WARM_UP = 5;

/** Memory before and after this number of attacks on both models, with the layers view open. */
export async function memoryOver(browser, server, attacks) {
  return visit(browser, server, { path: '#backend=cpu', before: exposeMemory }, async (page) => {
    const attack = async (times) => {
      for (let i = 0; i < times; i++) {
        await attackAfter(page, () => page.click('#again'));
        if (i % 5 === 0) await viewReady(page, 'layers');
      }
      await viewReady(page, 'layers');
      return memory(page);
    };
    await viewReady(page, 'layers');
    return { before: await attack(WARM_UP), after: await attack(attacks) };
  });
}

/** Moves the epsilon slider `times` times. Milliseconds to the first result, the final result and the updated view, per move. */
export async function sliderMoves(browser, server, times) {
  return visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    const moves = [];
    for (let i = 0; i < times; i++) {
      await viewReady(page, 'layers');
      moves.push(await page.evaluate(() => new Promise((done) => {
        const [slider, progress, view] = ['#epsilon-slider', '#progress', '.view'].map((s) => document.querySelector(s));
        const began = performance.now();
        let [first, last, busy] = [null, null, false];
        const look = new MutationObserver(() => {
          const [text, now] = [progress.textContent, performance.now() - began];
          busy ||= /^Attack begins/.test(text);
          if (!busy) return;
          if (/step \d+ of|Attacked in/.test(text)) first ??= now;
          if (/Attacked in/.test(text)) last ??= now;
          if (last === null || view.ariaBusy === 'true' || view.querySelector('.stale')) return;
          look.disconnect();
          done({ first, last, view: now });
        });
        look.observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true, attributes: true });
        slider.value = Number(slider.value) + 1;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
      })));
    }
    return moves;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [server, browser] = [await serveSite(), await launchBrowser('cpu')];
  try {
    const middle = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
    const each = (list, key) => { const all = list.map((one) => one[key]); return [Math.min(...all), middle(all), Math.max(...all)].map((n) => n.toFixed()).join(' / '); };
    const [visits, moves] = [[], await sliderMoves(browser, server, 9)];
    for (let i = 0; i < 5; i++) visits.push(await firstVisit(browser, server));
    const { before, after } = await memoryOver(browser, server, 50);
    const size = (key) => `${(before[key] / MB).toFixed(1)} -> ${(after[key] / MB).toFixed(1)}`;
    for (const [what, value] of [
      ['until the first attack is over, MB over the wire', (middle(visits.map(({ bytes }) => bytes)) / MB).toFixed(2)],
      ['then for use without a network and the other model, MB', (middle(visits.map(({ cached }) => cached)) / MB).toFixed(2)],
      ['first contentful paint, ms (best / median / worst)', each(visits, 'first')],
      ['first attack over, ms', each(visits, 'over')],
      ['both models and the first view, ms', each(visits, 'all')],
      ['total blocking time, ms', each(visits, 'blocked')],
      ['longest task, ms', each(visits, 'longest')],
      ['slider to first result, ms', each(moves, 'first')],
      ['slider to final result, ms', each(moves, 'last')],
      ['slider to the view, ms', each(moves, 'view')],
      ['WebAssembly memory of the worker, MB, over 50 attacks', size('worker')],
      ['WebAssembly memory of the page, MB', size('page')],
      ['JavaScript heap of the page, MB', size('heap')],
      ['DOM nodes', `${before.nodes} -> ${after.nodes}`],
    ]) console.log(`${what.padEnd(56)} ${value}`);
  } finally {
    await browser.close();
    await server.close();
  }
}
