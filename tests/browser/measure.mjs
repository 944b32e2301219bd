// What the page costs, on the CPU backend, as a small table: node tests/browser/measure.mjs.
import { fileURLToPath } from 'node:url';
import { attackAfter, attacked, explored } from './driver.mjs';
import { launch, longestTask, paints, site, visit } from './harness.mjs';

const MB = 2 ** 20;

/** Until the first attack is over: bytes over the wire and, of it all, what the service worker then asks for; then ms: first
 *  contentful paint, the attack, time blocked in tasks over 50 ms, the longest task. */
export async function firstVisit(browser, server) {
  server.transfers.length = 0;
  return visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    await attacked(page);
    const over = await page.evaluate(() => performance.now());
    const { first } = await paints(page);
    const longest = await longestTask(page);
    const blocked = await page.evaluate((over) => window.__tasks.filter(({ start }) => start < over).reduce((sum, { ms }) => sum + ms - 50, 0), over);
    await explored(page, 'layers');
    const all = await page.evaluate(() => performance.now());
    const asked = server.transfers.findIndex(({ path }) => /^service-worker.js|ce.safetensors/.test(path));
    const sum = (list) => list.reduce((sum, { bytes }) => sum + bytes, 0);
    const [bytes, kept] = [server.transfers.slice(0, asked), server.transfers.slice(asked)].map(sum);
    return { bytes, kept, first, over, blocked, longest, all };
  });
}

/** Lets `memory` see the WebAssembly memory of the page and of its worker. */
async function open(page) {
  await page.addInitScript(() => addEventListener('TrunkApplicationStarted', ({ detail }) => { window.__wasm = detail.wasm; }));
  await page.context().route('**/worker-*_loader.js', async (route) => {
    const response = await route.fetch();
    const keep = `const load = WebAssembly.instantiateStreaming;
      WebAssembly.instantiateStreaming = async (...all) => { const it = await load.apply(WebAssembly, all); self.__wasm = it.instance.exports; return it; };`;
    await route.fulfill({ response, body: `${keep}\n${await response.text()}` });
  });
}

/** Bytes in use after garbage has been collected: WebAssembly's of the worker and of the page, the page's JavaScript heap;
 *  and the number of its DOM nodes. */
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

/** Attacks that bring in what stays: code that is compiled when first used, the tests' own scripts. */
const WARM = 5;

/** Memory before and after so many attacks on both models, with the layers' view open. */
export async function memoryOver(browser, server, attacks) {
  return visit(browser, server, { path: '#backend=cpu', before: open }, async (page) => {
    const attack = async (times) => {
      for (let i = 0; i < times; i++) {
        await attackAfter(page, () => page.click('#again'));
        if (i % 5 === 0) await explored(page, 'layers');
      }
      await explored(page, 'layers');
      return memory(page);
    };
    await explored(page, 'layers');
    return { before: await attack(WARM), after: await attack(attacks) };
  });
}

/** Of each of `times` moves of the epsilon slider, ms to the first and to the final result in view, and to the open view's. */
export async function sliderMoves(browser, server, times) {
  return visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    const moves = [];
    for (let i = 0; i < times; i++) {
      await explored(page, 'layers');
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
  const [server, browser] = [await site(), await launch('cpu')];
  try {
    const middle = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
    const each = (list, key) => { const all = list.map((one) => one[key]); return [Math.min(...all), middle(all), Math.max(...all)].map((n) => n.toFixed()).join(' / '); };
    const [visits, moves] = [[], await sliderMoves(browser, server, 9)];
    for (let i = 0; i < 5; i++) visits.push(await firstVisit(browser, server));
    const { before, after } = await memoryOver(browser, server, 50);
    const size = (key) => `${(before[key] / MB).toFixed(1)} -> ${(after[key] / MB).toFixed(1)}`;
    for (const [what, value] of [
      ['until the first attack is over, MB over the wire', (middle(visits.map(({ bytes }) => bytes)) / MB).toFixed(2)],
      ['then for use without a network and the other model, MB', (middle(visits.map(({ kept }) => kept)) / MB).toFixed(2)],
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
