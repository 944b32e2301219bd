// The guided tour, use by keyboard, views during an update, layout shifts, new versions of the page and use without a network.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VIEWS, attackAfter, attackDone, viewReady, notices, png, probabilities, builtinModel, viewContent } from './driver.mjs';
import { NARROW, WIDE, dropFiles, file, launchBrowser, takeScreenshots, serveSite, visit } from './harness.mjs';

/** Limit for AutoAttack on two models. An idle machine needs far less. */
const SLOW = 300_000;
/** Largest accepted cumulative layout shift. Users do not notice this much. */
const MAX_SHIFT = 0.05;
/** Model and view of each step of the tour. */
const TOUR = [
  ['ce', 'none'], ['ce', 'landscape'], ['ce', 'landscape'], ['otjr', 'none'], ['ce', 'layers'], ['ce', 'embedding'], ['otjr', 'transport'],
  ['otjr', 'jacobian'], ['otjr', 'none'],
];

let server, browser;
before(async () => { server = await serveSite(); browser = await launchBrowser('cpu'); });
after(async () => { await browser?.close(); await server?.close(); });

const step = (page, n) => page.locator('#guide', { hasText: `Step ${n} of ${TOUR.length}` }).waitFor();

test('every step of the tour shows its model and view', async (t) => {
  await visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    await attackDone(page);
    await page.click('#tour');
    for (const [i, [model, view]] of TOUR.entries()) {
      await step(page, i + 1);
      const began = Date.now();
      await attackDone(page, SLOW);
      await viewReady(page, view, SLOW);
      assert.match(page.url(), new RegExp(`model=${model}&.*tour=${i + 1}$`));
      assert.equal(await page.locator(`[name=model][value=${model}]`).isChecked(), true);
      assert.equal(await page.locator(`[name=view][value=${view}]`).isChecked(), true);
      assert.deepEqual(await notices(page), []);
      t.diagnostic(`${i + 1} (${Date.now() - began} ms): ${await page.innerText('#verdict')}`);
      await takeScreenshots(page, `tour-${i + 1}`);
      assert.equal(await page.locator('#guide-show').count(), view === 'none' ? 0 : 1);
      if (view !== 'none') {
        await page.click('#guide-show');
        const top = await page.locator('#views').evaluate((views) => views.getBoundingClientRect().top);
        assert.equal(await page.evaluate(() => document.activeElement.id), 'views-title', 'the focus does not move');
        assert.ok(top >= -1 && top < page.viewportSize().height / 2, `step ${i + 1}: the view is ${top} px down`);
      }
      if (i + 1 < TOUR.length) await page.click('#guide-next');
    }
    assert.equal(await page.locator('#guide-next').count(), 0);
    for (let n = TOUR.length - 1; n >= 1; n--) {
      await page.click('#guide-back');
      await step(page, n);
    }
    assert.equal(await page.locator('#guide-back').count(), 0);
    await page.goBack();
    await step(page, 2);
    const url = page.url();
    await page.click('#guide-end');
    await page.waitForSelector('#guide', { state: 'detached' });
    assert.equal(page.url(), url.replace('&tour=2', ''), 'ending the tour changes the URL');
    await viewReady(page, 'landscape');
    assert.deepEqual(await notices(page), []);
  });
});

test('the tour keeps the uploaded image and the focus', async () => {
  await visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    await attackDone(page);
    await page.click('#tour');
    await step(page, 1);
    await attackAfter(page, () => dropFiles(page, 'body', file('mine.png', 'image/png', png(32, 32, () => [40, 160, 40]))));
    const mine = async () => assert.match(await page.locator('.images figcaption').first().innerText(), /mine\.png/);
    await page.focus('#guide-next');
    await page.keyboard.press('Enter');
    await step(page, 2);
    await page.waitForFunction(() => document.activeElement.id === 'guide-next');
    await attackDone(page);
    await mine();
    await page.focus('#guide-end');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#guide', { state: 'detached' });
    await page.waitForFunction(() => document.activeElement.id === 'tour');
    await attackDone(page);
    await mine();
    assert.deepEqual(await notices(page), []);
  });
});

test('the whole page works with the keyboard alone', async () => {
  await visit(browser, server, { path: '#backend=cpu' }, async (page) => {
    await viewReady(page, 'layers');
    const tabTo = async (selector) => {
      const passed = [];
      for (let i = 0; i < 120; i++) {
        await page.keyboard.press('Tab');
        const [there, at, seen] = await page.evaluate((selector) => {
          const e = document.activeElement;
          const around = e.closest('label') ?? e;
          const seen = [e, around, e.closest('.button')].some((x) => x && getComputedStyle(x).outlineStyle !== 'none');
          return [e.matches(selector), e.id || `${e.name ?? ''}=${e.value ?? ''}` || e.nodeName, seen];
        }, selector);
        passed.push(at);
        if (there) return assert.ok(seen, `the focus on ${at} is not visible`);
      }
      assert.fail(`Tab does not reach ${selector}, only ${passed}`);
    };
    const urlContains = (part) => page.waitForFunction((part) => location.hash.includes(part), part);

    await tabTo('[name=model]');
    await page.keyboard.press('ArrowDown');
    await urlContains('#model=ce&');
    await viewReady(page, 'layers');
    await tabTo('#epsilon-slider');
    await page.keyboard.press('ArrowLeft');
    await urlContains('epsilon=7.5/255');
    await tabTo('[name=view]');
    for (const view of VIEWS.slice(1)) {
      await page.keyboard.press('ArrowRight');
      await urlContains(`&view=${view}`);
      await viewReady(page, view);
    }
    await page.keyboard.press('ArrowRight');
    await urlContains('&view=none');
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowLeft');
    await urlContains('&view=transport');
    await viewReady(page, 'transport');
    for (const kind of ['SVG', 'PNG', 'CSV']) {
      await tabTo('#view-chart-1 .save button');
      for (let i = 0; i < 4 && await page.evaluate(() => document.activeElement.textContent) !== kind; i++) await page.keyboard.press('Tab');
      const coming = page.waitForEvent('download');
      await page.keyboard.press('Enter');
      assert.match((await coming).suggestedFilename(), new RegExp(`\\.${kind.toLowerCase()}$`));
      while (!await page.evaluate(() => document.activeElement.matches('[name=view]'))) await page.keyboard.press('Shift+Tab');
    }
    await tabTo('#projection');
    await page.keyboard.press('ArrowRight');
    await urlContains('&projection=1');
    await tabTo('#tour');
    await page.keyboard.press('Enter');
    await step(page, 1);
    await tabTo('#guide-next');
    await page.keyboard.press('Enter');
    await step(page, 2);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'guide-next', 'the focus is lost');
    await tabTo('#guide-end');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#guide', { state: 'detached' });
  });
});

test('going back from the tour restores the uploaded model and image', async () => {
  await visit(browser, server, { path: '#view=none&backend=cpu' }, async (page) => {
    await attackDone(page);
    await attackAfter(page, () => dropFiles(page, 'body', file('mine.png', 'image/png', png(32, 32, () => [40, 160, 40]))));
    await attackAfter(page, async () => dropFiles(page, 'body', file('mine.safetensors', '', await builtinModel('ce'))));
    const url = page.url();
    assert.match(url, /#model=own&sample=own&/);
    await page.click('#tour');
    await step(page, 1);
    await page.waitForFunction(() => location.hash.includes('model=ce&'));
    await attackDone(page);
    await page.goBack();
    await page.waitForFunction((url) => location.href === url, url);
    assert.match(await page.locator('.images figcaption').first().innerText(), /mine\.png/);
    assert.deepEqual(await notices(page), []);
  });
});

test('while a slider moves, the view is marked as out of date', async () => {
  await visit(browser, server, { path: '#model=ce&backend=cpu' }, async (page) => {
    await viewReady(page, 'layers');
    const before = await viewContent(page);
    await page.focus('#epsilon-slider');
    for (let i = 0; i < 6; i++) {
      await page.keyboard.press('ArrowLeft');
      const dimmed = await page.waitForFunction(() => {
        const plots = document.querySelector('.view[aria-busy=true] .plots.stale');
        return plots && getComputedStyle(plots).opacity;
      }, null, { timeout: 1000 });
      assert.ok(Number(await dimmed.jsonValue()) < 0.7);
      assert.deepEqual((await viewContent(page)).charts.length, before.charts.length, 'the previous charts are gone');
    }
    await viewReady(page, 'layers');
    await page.waitForFunction(() => getComputedStyle(document.querySelector('.plots')).opacity === '1');
    assert.notDeepEqual((await viewContent(page)).charts.map(({ svg }) => svg), before.charts.map(({ svg }) => svg));
    assert.match(page.url(), /epsilon=5\/255/);
  });
});

/** Records layout shifts. */
const watchShifts = (page) => page.addInitScript(() => {
  window.__shifts = [];
  const name = (node) => node && (node.id ? `#${node.id}` : `${node.nodeName?.toLowerCase()}.${node.className}`);
  new PerformanceObserver((list) => window.__shifts.push(...list.getEntries().map((e) => ({ value: e.value, at: Math.round(e.startTime), what: e.sources.map((s) => name(s.node)) }))))
    .observe({ type: 'layout-shift', buffered: true });
});

for (const [size, viewport] of [['wide', WIDE], ['narrow', NARROW]]) {
  test(`no layout shift when a view appears, ${size}`, async (t) => {
    const over = [];
    for (const view of VIEWS) {
      await visit(browser, server, { path: `#model=ce&view=${view}&backend=cpu`, ...viewport, before: watchShifts }, async (page) => {
        await page.locator('#views').evaluate((element) => element.scrollIntoView());
        await viewReady(page, view);
        const shifts = await page.evaluate(() => new Promise((done) => setTimeout(() => done(window.__shifts), 200)));
        const sum = shifts.reduce((sum, { value }) => sum + value, 0);
        t.diagnostic(`${view}: ${sum.toFixed(3)} ${JSON.stringify(shifts.filter(({ value }) => value > 0.005))}`);
        if (sum > MAX_SHIFT) over.push(`${view}: ${sum.toFixed(3)}`);
      });
    }
    assert.deepEqual(over, []);
  });
}

test('a new version replaces all cached files, and the page opens while its host returns errors', async () => {
  const before = {};
  let down = false;
  const own = await serveSite({ before, caching: 'max-age=600', failing: () => down });
  try {
    await visit(browser, own, { path: '#backend=cpu', allow: [/503/] }, async (page) => {
      await attackDone(page);
      await page.waitForFunction(async () => {
        const cached = (await (await caches.open('otjr')).keys()).map(({ url }) => url);
        return ['worker-\\w+_bg.wasm', 'page-\\w+_bg.wasm', 'otjr.safetensors'].every((part) => cached.some((url) => url.match(part)))
          && navigator.serviceWorker.controller !== null;
      }, undefined, { timeout: 30_000 });
      before['public/start.js'] = 'window.version = 2;\n';
      await page.reload();
      await attackDone(page);
      assert.equal(await page.evaluate(() => window.version), 2, 'a file of the previous version is used');
      // Files of previous versions are deleted from the cache.
      await page.evaluate(async () => (await caches.open('otjr')).put('page-0123456789abcdef.js', new Response('old')));
      await page.reload();
      await attackDone(page);
      await page.waitForFunction(async () => !await caches.match('page-0123456789abcdef.js'));
      down = true;
      await page.reload();
      await attackDone(page);
    });
  } finally {
    await own.close();
  }
});

test('after a first visit the page opens and attacks without a network', async () => {
  const own = await serveSite();
  const allow = [/ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|FAILED)/];
  try {
    await visit(browser, own, { path: '#model=ce&backend=cpu', allow }, async (page) => {
      await viewReady(page, 'layers');
      const cached = await page.waitForFunction(async () => {
        const cached = (await (await caches.open('otjr')).keys()).map(({ url }) => new URL(url).pathname);
        const all = ['/sub/', 'page-', '_bg.wasm', '.css', 'worker-\\w+_loader.js', 'worker-[a-z]+.js', 'worker-[a-z]+_bg.wasm', 'otjr.safetensors', 'ce.safetensors'];
        return all.every((part) => cached.some((path) => path.match(part))) && navigator.serviceWorker.controller !== null;
      }, undefined, { timeout: 30_000 });
      await cached.dispose();
      const before = await probabilities(page);
      await own.close();
      await page.context().setOffline(true);
      await page.reload();
      await viewReady(page, 'layers');
      assert.deepEqual(await probabilities(page), before);
      await attackAfter(page, () => page.click('#again'));
      assert.deepEqual(await notices(page), []);
    });
  } finally {
    await own.close().catch(() => {});
  }
});
