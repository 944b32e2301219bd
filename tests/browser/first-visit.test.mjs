// The first visit: time to the first result, downloads, the chosen backend, the page's appearance, and the size of dist/.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { attackDone, duration, longestComputation, expectNotice, probabilities, recordTrace, checkEpsilon } from './driver.mjs';
import { THREADS, launchBrowser, longestTask, paints, updateReadmeImage, takeScreenshots, serveSite, fileSizes, visit } from './harness.mjs';

/** Limits: ms to the first paint, ms of the longest computation, bytes of WebAssembly, ms for PGD-20. */
const FIRST_PAINT = 1000;
const BLOCKED = 50;
const WASM = 4e6;
const PGD_20 = 3000;

/** Inserted before the worker's code: what threads, which are created from a compiled module, do when they start. */
const threadStart = (code) => `const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (module, imports) => {
  const { exports } = await instantiate(module, imports);
  return { module, instance: { exports: { ...exports, run_thread() { ${code} } } } };
};
`;

let server;
before(async () => { server = await serveSite(); });
after(() => server?.close());

const kilobytes = (n) => `${(n / 1024).toFixed(0)} KB`;

describe('without WebGPU', () => {
  let browser;
  before(async () => { browser = await launchBrowser('cpu'); });
  after(() => browser?.close());

  test('the page computes on the CPU and gives the reason', async () => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      assert.equal(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())), false);
      assert.match(await page.innerText('#backend-line'), /^CPU \(\d+ threads?\), because .*WebGPU/);
    });
  });

  test('the page attacks a sample at once, with small downloads and without blocking', async (t) => {
    // The best of three visits counts, because other programs use the machine too.
    const best = { first: Infinity, blocked: Infinity, ms: Infinity };
    for (let i = 0; i < 3; i++) {
      server.transfers.length = 0;
      await visit(browser, server, { before: recordTrace(browser) }, async (page) => {
        await attackDone(page);
        const fetched = server.transfers.filter(({ path }) => path.endsWith('.wasm'));
        const [wasm, all] = [fetched, server.transfers].map((list) => list.reduce((sum, { bytes }) => sum + bytes, 0));
        const shown = await page.evaluate(() => performance.now());
        const { first, largest } = await paints(page);
        const [wall, blocked] = [await longestTask(page), await longestComputation(browser, page)];
        const { steps, ms } = await duration(page);
        t.diagnostic(`first paint ${first.toFixed()} ms, largest ${largest?.toFixed()} ms, attack over ${shown.toFixed()} ms; longest task ${wall.toFixed()} ms, at most ${blocked.toFixed()} ms of work; PGD-${steps} ${ms} ms`);
        t.diagnostic(`fetched until then: ${kilobytes(all)}, of it wasm ${kilobytes(wasm)} (${fetched.map((f) => `${f.path} ${kilobytes(f.bytes)} ${f.encoding}`).join(', ')})`);
        assert.equal(steps, 20);
        assert.ok(wasm > 0 && wasm <= WASM, `${wasm} bytes of wasm before the first attack`);
        assert.ok(fetched.every(({ path }) => !path.includes('gpu')), 'the WebGPU worker was fetched without need');
        const { names, clean, attacked: after } = await probabilities(page);
        assert.equal(names.length, 10);
        for (const list of [clean, after]) assert.ok(Math.abs(list.reduce((a, b) => a + b) - 1) < 1e-4);
        await checkEpsilon(page, 8);
        for (const [key, value] of Object.entries({ first, blocked, ms })) best[key] = Math.min(best[key], value);
      });
      if (best.first < FIRST_PAINT && best.blocked <= BLOCKED && best.ms < PGD_20) break;
    }
    assert.ok(best.first < FIRST_PAINT, `first paint after ${best.first} ms`);
    assert.ok(best.blocked <= BLOCKED, `the page was blocked for ${best.blocked} ms`);
    assert.ok(best.ms < PGD_20, `PGD-20 took ${best.ms} ms`);
  });

  test('it uses all cores if isolated, or else one, with the same results', async (t) => {
    const notIsolated = await serveSite({ isolated: false });
    const observe = async (page) => {
      await attackDone(page);
      const [threads] = (await page.innerText('#backend-line')).match(/\d+ threads?/);
      return { threads, cores: await page.evaluate(() => navigator.hardwareConcurrency), found: await probabilities(page) };
    };
    const usesAllCores = ({ threads, cores }) => assert.equal(threads, THREADS && cores > 1 ? `${Math.min(cores, 16)} threads` : '1 thread');
    try {
      const many = await visit(browser, server, {}, observe);
      t.diagnostic(`${many.threads} on ${many.cores} cores`);
      usesAllCores(many);
      await visit(browser, notIsolated, {}, async (page) => {
        const one = await observe(page);
        assert.equal(one.threads, '1 thread');
        assert.deepEqual(one.found, many.found);
        // The service worker adds the headers that the host does not send.
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
        await page.reload();
        const again = await observe(page);
        usesAllCores(again);
        assert.deepEqual(again.found, many.found);
      });
    } finally {
      await notIsolated.close();
    }
  });

  if (THREADS) test('if a thread fails, the page continues with one thread', async () => {
    const own = await serveSite({ before: { 'worker-threads.js': threadStart("throw new Error('no memory');") } });
    try {
      await visit(browser, own, {}, async (page) => {
        await expectNotice(page, 'a thread died: Error: no memory');
        await attackDone(page);
        assert.match(await page.innerText('#backend-line'), /^CPU \(1 thread\)/);
      });
    } finally {
      await own.close();
    }
  });

  if (THREADS) test('if the threads do not start, the page continues with one thread', async () => {
    const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);';
    const own = await serveSite({ before: { 'worker-threads.js': threadStart(wait) } });
    try {
      await visit(browser, own, {}, async (page) => {
        await expectNotice(page, 'threads of the computation did not start in time');
        await attackDone(page);
        assert.match(await page.innerText('#backend-line'), /^CPU \(1 thread\)/);
        // The worker that was replaced ends, and so do its threads. The browser reports that a moment later.
        for (let tries = 0; page.workers().length > 1 && tries < 50; tries++) await new Promise((done) => { setTimeout(done, 200); });
        assert.equal(page.workers().length, 1);
      });
    } finally {
      await own.close();
    }
  });

  test('if the user chooses WebGPU without a GPU, the page gives the reason and uses the CPU', async () => {
    await visit(browser, server, { path: '#backend=gpu', allow: [/WebGPU|adapter|gpu/i] }, async (page) => {
      await expectNotice(page, 'WebGPU failed');
      await attackDone(page);
      const cores = await page.evaluate(() => navigator.hardwareConcurrency);
      const threads = THREADS && cores > 1 ? `${Math.min(cores, 16)} threads` : '1 thread';
      assert.ok((await page.innerText('#backend-line')).startsWith(`CPU (${threads}), because WebGPU failed`));
    });
  });

  test('if it cannot start, the page shows a message', async () => {
    const noScript = await launchBrowser('cpu', ['--blink-settings=scriptEnabled=false']);
    try {
      const page = await noScript.newPage();
      await page.goto(server.url);
      assert.ok((await page.locator('noscript p').boundingBox()).height > 0, 'there is no message about JavaScript');
      assert.equal(await page.locator('#skeleton').boundingBox(), null, 'the placeholder is visible without JavaScript');
    } finally {
      await noScript.close();
    }
    const broken = { before: (page) => page.route(/page-[^/]*_bg\.wasm$/, (route) => route.abort()), allow: [/./] };
    await visit(browser, server, broken, async (page) => {
      await page.getByText('This page could not start.').waitFor();
    });
  });

  test('the page explains the method and links to licenses and credits', async () => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      assert.match(await page.innerText('#about'), /Optimal Transport with Jacobian Regularization/);
      const links = await page.locator('#about a').evaluateAll((list) => Promise.all(list.map(async ({ href }) => (await fetch(href)).text())));
      assert.equal(links.length, 4);
      for (const text of links) assert.ok(text.length > 500 && !text.startsWith('<'), text.slice(0, 80));
    });
  });

  test('screenshots in every size and color scheme', async () => {
    await visit(browser, server, {}, async (page) => {
      await attackDone(page);
      await takeScreenshots(page, 'page');
      await updateReadmeImage(page, 'page');
    });
  });
});

describe('with an emulated GPU', () => {
  let browser;
  before(async () => { browser = await launchBrowser('webgpu'); });
  after(() => browser?.close());

  test('by default the page uses the CPU and gives the reason', async () => {
    await visit(browser, server, {}, async (page) => {
      assert.equal(await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter())), true);
      await attackDone(page);
      assert.match(await page.innerText('#backend-line'), /^CPU \(\d+ threads?\), because WebGPU is only emulated/);
    });
  });

  test('if the user chooses the CPU, the page uses it', async () => {
    await visit(browser, server, { path: '#backend=cpu' }, async (page) => {
      await attackDone(page);
      assert.match(await page.innerText('#backend-line'), /^CPU \(\d+ threads?\), as selected$/);
    });
  });
});

test('dist/ stays within its size limits', async (t) => {
  const files = await fileSizes();
  for (const { path, raw, gzip, brotli } of files.filter((f) => f.raw > 20_000)) {
    t.diagnostic(`${path}: ${kilobytes(raw)}, gzip ${kilobytes(gzip)}, brotli ${kilobytes(brotli)}`);
  }
  const budget = { 'page-': 416, 'worker-cpu_bg': 1104, 'worker-gpu_bg': 3072, ...(THREADS && { 'worker-threads_bg': 1120 }) };
  for (const [start, limit] of Object.entries(budget)) {
    const wasm = files.find((f) => f.path.startsWith(start) && f.path.endsWith('.wasm'));
    assert.ok(wasm, `no ${start}*.wasm in dist`);
    assert.ok(wasm.brotli <= limit * 1024, `${wasm.path}: ${kilobytes(wasm.brotli)} compressed, over ${limit} KB`);
  }
});
