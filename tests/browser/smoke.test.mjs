// The page loads under a sub-path, with and without WebGPU, complains of nothing, paints soon and is small.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, longestTask, paints, shoot, site, sizes, visit } from './harness.mjs';

let server;
before(async () => { server = await site(); });
after(() => server?.close());

for (const backend of ['cpu', 'webgpu']) {
  describe(`the page, ${backend}`, () => {
    let browser;
    before(async () => { browser = await launch(backend); });
    after(() => browser?.close());

    test(backend === 'cpu' ? 'there is no WebGPU' : 'there is a WebGPU adapter', async () => {
      await visit(browser, server, {}, async (page) => {
        const adapter = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
        assert.equal(adapter, backend === 'webgpu');
      });
    });

    test('loads, paints, does not block', async (t) => {
      server.transfers.length = 0;
      await visit(browser, server, {}, async (page) => {
        await page.waitForSelector('h1');
        const { first, largest } = await paints(page);
        const blocked = await longestTask(page);
        t.diagnostic(`first paint ${first?.toFixed()} ms, largest ${largest?.toFixed()} ms, longest task ${blocked.toFixed()} ms`);
        for (const { path, bytes, raw } of server.transfers) t.diagnostic(`${path || 'index.html'}: ${bytes} of ${raw} bytes`);
        assert.ok(first < 3000, `first paint after ${first} ms`);
      });
    });
  });
}

test('looks right in every size and scheme', async () => {
  const browser = await launch('cpu');
  try {
    await visit(browser, server, {}, async (page) => {
      await page.waitForSelector('h1');
      await shoot(page, 'start');
    });
  } finally {
    await browser.close();
  }
});

test('sizes', async (t) => {
  const kilobytes = (n) => `${(n / 1024).toFixed(0)} KB`;
  const files = await sizes();
  for (const { path, raw, gzip, brotli } of files.filter((f) => f.raw > 20_000)) {
    t.diagnostic(`${path}: ${kilobytes(raw)}, gzip ${kilobytes(gzip)}, brotli ${kilobytes(brotli)}`);
  }
  const budget = { 'page-': 400, 'worker-cpu_bg': 1024, 'worker-gpu_bg': 3072 };
  for (const [start, limit] of Object.entries(budget)) {
    const wasm = files.find((f) => f.path.startsWith(start) && f.path.endsWith('.wasm'));
    assert.ok(wasm, `no ${start}*.wasm in dist`);
    assert.ok(wasm.brotli <= limit * 1024, `${wasm.path}: ${kilobytes(wasm.brotli)} compressed, over ${limit} KB`);
  }
});
